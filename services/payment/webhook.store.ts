import type { Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import type { Operation, ProviderResult } from "./psp/port.ts";

/** SQL of the provider's own events. */

const FIND = statement(
  "psp_event_attempts",
  `select coalesce(
            (select a.id from payment_attempts a where a.id = t.attempt_id),
            (select a.id from payment_attempts first join payment_attempts a on a.payment_id = first.payment_id
             where first.id = t.authorisation_id and a.operation = t.operation
             order by a.id desc limit 1)) as id
   from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality as t(attempt_id, authorisation_id, operation, place)
   order by t.place`,
);

export interface AttemptHint {
  readonly operation?: Operation;
  readonly attemptId?: string;
  readonly authorisationId?: string;
}

/** The attempts that events are about, in the order asked; undefined where there is none. */
export async function attemptsOf(tx: Tx, hints: readonly AttemptHint[]): Promise<(string | undefined)[]> {
  const rows = await tx.query<{ id: string | null }>(FIND, [
    hints.map(({ attemptId }) => attemptId ?? null),
    hints.map(({ authorisationId }) => authorisationId ?? null),
    hints.map(({ operation }) => operation ?? null),
  ]);
  return rows.map(({ id }) => id ?? undefined);
}

export interface ReceivedRow {
  readonly provider: string;
  readonly eventId: string;
  readonly type: string;
  readonly attemptId?: string;
  readonly result: "settled" | "ignored" | "unmatched";
  readonly answer?: ProviderResult;
}

const RECORD = statement(
  "psp_event_record",
  `insert into psp_events (provider, event_id, type, attempt_id, result)
   select provider, event_id, type, attempt_id, result
   from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[]) as t(provider, event_id, type, attempt_id, result)
   order by provider, event_id
   on conflict do nothing
   returning event_id`,
);

/** Notes events; answers the ids that are new. */
export async function recordPspEvents(tx: Tx, rows: readonly ReceivedRow[]): Promise<ReadonlySet<string>> {
  if (rows.length === 0) return new Set();
  const recorded = await tx.query<{ event_id: string }>(RECORD, [
    rows.map(({ provider }) => provider),
    rows.map(({ eventId }) => eventId),
    rows.map(({ type }) => type),
    rows.map(({ attemptId }) => attemptId ?? null),
    rows.map(({ result }) => result),
  ]);
  return new Set(recorded.map(({ event_id }) => event_id));
}
