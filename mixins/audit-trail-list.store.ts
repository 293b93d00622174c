import type { Database } from "../lib/database.ts";
import type { TrailEntry, TrailFilter } from "../lib/operator-contracts.ts";
import { type Statement, statement } from "../lib/statement.ts";

/** SQL that looks through the audit trail of a database, from its end on. */

// Who looks for one target or one actor comes in by its index; all else is walked through until the page is full.
const listed = (name: string, first: string): Statement =>
  statement(
    `audit_trail_${name}`,
    `select sequence, at, actor, action, target, detail, correlation_id, encode(hash, 'hex') as hash
     from audit_trail
     where ${first} and ($1::bigint is null or sequence < $1)
       and ($2::text is null or split_part(target, ' ', 2) = $2) and ($3::text is null or actor = $3)
       and ($4::text is null or action = $4 or starts_with(action, $4 || '.'))
     order by sequence desc limit $5`,
  );
const BY_TARGET = listed("by_target", "split_part(target, ' ', 2) = $2");
const BY_ACTOR = listed("by_actor", "actor = $3");
const ALL = listed("all", "true");

interface TrailRow {
  sequence: number;
  at: Date;
  actor: string;
  action: string;
  target: string;
  detail: Record<string, unknown>;
  correlation_id: string | null;
  hash: string;
}

/** Newest first. */
export async function listTrail(
  database: Database,
  { before, targetId, actor, action, rows }: TrailFilter,
): Promise<Omit<TrailEntry, "service">[]> {
  const query = targetId !== undefined ? BY_TARGET : actor !== undefined ? BY_ACTOR : ALL;
  const found = await database.query<TrailRow>(query, [before, targetId, actor, action, rows]);
  return found.map(({ at, correlation_id: correlationId, ...entry }) => ({
    ...entry,
    at: at.toISOString(),
    ...(correlationId !== null && { correlationId }),
  }));
}
