import type { IdempotencyClaim } from "../lib/contracts.ts";
import type { Tx } from "../lib/database.ts";
import { statement } from "../lib/statement.ts";
import type { StoredAnswer } from "./idempotency.store.ts";

/**
 * SQL of keys whose work is done elsewhere, so that key and effect cannot commit together: a key is leased, the work is
 * done, its answer stored. Whoever dies in between leaves a lease that ends; the work must bear being done again.
 */

type Runs = Pick<Tx, "query">;

const BEGIN = statement(
  "idempotency_begin",
  `insert into idempotency_records as r (subject, key, operation, request_hash, status, locked_until, expires_at)
   values ($1, $2, $3, $4, 'PROCESSING', now() + $5 * interval '1 millisecond', now() + $6 * interval '1 hour')
   on conflict (subject, key) do update set
     operation = excluded.operation, request_hash = excluded.request_hash, status = 'PROCESSING',
     attempt = case when r.expires_at <= now() then 1 else r.attempt + 1 end,
     locked_until = excluded.locked_until, response_status = null, response_headers = null, response_data = null,
     created_at = now(), completed_at = null, expires_at = excluded.expires_at
   where r.expires_at <= now()
      or (r.status = 'PROCESSING' and r.locked_until <= now()
          and r.operation = excluded.operation and r.request_hash = excluded.request_hash)
   returning attempt`,
);

/** Takes a key that is new, has expired, or was left by somebody who died; answers the number of this attempt. */
export async function beginKey(
  tx: Runs,
  { subject, key, operation, requestHash }: IdempotencyClaim,
  leaseMs: number,
  hoursKept: number,
): Promise<number | undefined> {
  const values = [subject, key, operation, requestHash, leaseMs, hoursKept];
  const [row] = await tx.query<{ attempt: number }>(BEGIN, values);
  return row?.attempt;
}

const LEFT = statement(
  "idempotency_left",
  `select greatest(1, ceil(extract(epoch from locked_until - now())))::int as seconds
   from idempotency_records where subject = $1 and key = $2 and status = 'PROCESSING'`,
);

/** Seconds until the lease of a key in hand ends, 1 at least. */
export async function secondsLeft(tx: Runs, { subject, key }: IdempotencyClaim): Promise<number> {
  const [row] = await tx.query<{ seconds: number | null }>(LEFT, [subject, key]);
  return row?.seconds ?? 1;
}

const FINISH = statement(
  "idempotency_finish",
  `update idempotency_records
   set status = 'COMPLETED', response_status = $4, response_headers = $5, response_data = $6, locked_until = null,
       completed_at = now(), expires_at = now() + $7 * interval '1 hour'
   where subject = $1 and key = $2 and attempt = $3 and status = 'PROCESSING'
   returning 1 as done`,
);

/** Stores the answer; false when somebody else has taken the key over meanwhile. */
export async function finishKey(
  tx: Runs,
  { subject, key }: Pick<IdempotencyClaim, "subject" | "key">,
  attempt: number,
  answer: StoredAnswer,
  hoursKept: number,
): Promise<boolean> {
  const [headers, body] = [JSON.stringify(answer.headers), JSON.stringify(answer.body)];
  const values = [subject, key, attempt, answer.status, headers, body, hoursKept];
  return (await tx.query(FINISH, values)).length > 0;
}

const RELEASE = statement(
  "idempotency_release",
  `delete from idempotency_records
   where subject = $1 and key = $2 and attempt = $3 and status = 'PROCESSING' returning 1 as gone`,
);

/** Gives a key back whose work was refused: nothing has happened, and it may be used again. */
export async function releaseKey(
  tx: Runs,
  { subject, key }: Pick<IdempotencyClaim, "subject" | "key">,
  attempt: number,
): Promise<void> {
  await tx.query(RELEASE, [subject, key, attempt]);
}
