import type { Database, Tx } from "../lib/database.ts";
import { joinJson, jsonColumn } from "../lib/json-column.ts";
import { statement } from "../lib/statement.ts";

export interface AuditEntry {
  /** The subject of a token, or the part of the system that acts by itself. */
  readonly actor: string;
  /** "customer.create" */
  readonly action: string;
  /** What it was done to: "customer 0199…". */
  readonly target: string;
  /** Without personal data: entries are kept for good. */
  readonly detail?: object;
  readonly correlationId?: string;
}

const APPEND = statement(
  "audit_trail_append",
  `insert into audit_trail (actor, action, target, detail, correlation_id)
   select * from unnest($1::text[], $2::text[], $3::text[], ${jsonColumn(4)}, $5::text[])`,
);

/**
 * Appends to the audit trail, in the transaction of what it tells. Whoever appends waits for those who did and have
 * not committed yet: it belongs at the end of a transaction, and not on the way of orders.
 */
export function appendToTrail(tx: Tx, entries: readonly AuditEntry[]): void {
  if (entries.length === 0) return;
  tx.send(APPEND, [
    entries.map(({ actor }) => actor),
    entries.map(({ action }) => action),
    entries.map(({ target }) => target),
    joinJson(entries.map(({ detail }) => detail ?? {})),
    entries.map(({ correlationId }) => correlationId ?? null),
  ]);
}

const HEAD = statement(
  "audit_trail_head",
  "select sequence, encode(hash, 'hex') as hash from audit_trail_head",
);

export interface TrailHead {
  readonly sequence: number;
  readonly hash: string;
}

export async function trailHead(database: Database): Promise<TrailHead | undefined> {
  const [head] = await database.query<TrailHead>(HEAD);
  return head;
}
