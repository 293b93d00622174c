import type { IdempotencyClaim } from "../lib/contracts.ts";
import type { Tx } from "../lib/database.ts";
import { joinJson, jsonColumn } from "../lib/json-column.ts";
import { statement } from "../lib/statement.ts";

export interface StoredAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface AnsweredClaim {
  readonly claim: IdempotencyClaim;
  /** What a first request is answered, and every repetition of it. */
  readonly answer: StoredAnswer;
}

// The primary key makes one of many concurrent claims the first; the others wait for its commit and then
// find its answer. A record past its time is taken over as if it were not there.
const CLAIM = statement(
  "idempotency_claim",
  `insert into idempotency_records as r (subject, key, operation, request_hash, status, response_status,
     response_headers, response_data, completed_at, expires_at)
   select subject, key, operation, hash, 'COMPLETED', status, headers, body, now(), now() + $8 * interval '1 hour'
   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], ${jsonColumn(6)}, ${jsonColumn(7)})
        as t(subject, key, operation, hash, status, headers, body)
   on conflict (subject, key) do update set
     operation = excluded.operation, request_hash = excluded.request_hash, status = excluded.status, attempt = 1,
     locked_until = null, response_status = excluded.response_status, response_headers = excluded.response_headers,
     response_data = excluded.response_data, created_at = now(), completed_at = now(), expires_at = excluded.expires_at
   where r.expires_at <= now()
   returning subject, key`,
);

/** Claims keys and stores their answers at once: for work that commits in this very transaction. Answers the
 *  claims that are first. Each (subject, key) may stand in `claims` once. */
export async function claimKeys(
  tx: Tx,
  claims: readonly AnsweredClaim[],
  hoursKept: number,
): Promise<ReadonlySet<string>> {
  // One order for all, so that two batches with the same keys cannot wait for each other.
  const sorted = [...claims].sort((a, b) => (claimKey(a.claim) < claimKey(b.claim) ? -1 : 1));
  const first = await tx.query<{ subject: string; key: string }>(CLAIM, [
    sorted.map(({ claim }) => claim.subject),
    sorted.map(({ claim }) => claim.key),
    sorted.map(({ claim }) => claim.operation),
    sorted.map(({ claim }) => claim.requestHash),
    sorted.map(({ answer }) => answer.status),
    joinJson(sorted.map(({ answer }) => answer.headers)),
    joinJson(sorted.map(({ answer }) => answer.body)),
    hoursKept,
  ]);
  return new Set(first.map(claimKey));
}

const STORE = statement(
  "idempotency_store",
  `update idempotency_records set response_status = $3, response_headers = $4, response_data = $5
   where subject = $1 and key = $2`,
);

/** The answer of a claim that this transaction holds. */
export function storeAnswer(tx: Tx, { claim, answer }: AnsweredClaim): void {
  const { status, headers, body } = answer;
  tx.send(STORE, [claim.subject, claim.key, status, JSON.stringify(headers), JSON.stringify(body)]);
}

export interface IdempotencyRecord {
  readonly subject: string;
  readonly key: string;
  readonly operation: string;
  readonly requestHash: string;
  readonly status: "PROCESSING" | "COMPLETED" | "FAILED";
  readonly answer: StoredAnswer;
}

interface RecordRow {
  subject: string;
  key: string;
  operation: string;
  request_hash: string;
  status: IdempotencyRecord["status"];
  response_status: number;
  response_headers: Record<string, string>;
  response_data: unknown;
}

const FIND = statement(
  "idempotency_find",
  `select r.subject, r.key, r.operation, r.request_hash, r.status, r.response_status, r.response_headers, r.response_data
   from unnest($1::text[], $2::text[]) as t(subject, key)
   join idempotency_records r on r.subject = t.subject and r.key = t.key
   where r.expires_at is null or r.expires_at > now()`,
);

export async function findRecords(
  tx: Tx,
  claims: readonly IdempotencyClaim[],
): Promise<ReadonlyMap<string, IdempotencyRecord>> {
  const rows = await tx.query<RecordRow>(FIND, [
    claims.map(({ subject }) => subject),
    claims.map(({ key }) => key),
  ]);
  return new Map(
    rows.map((row) => [
      claimKey(row),
      {
        subject: row.subject,
        key: row.key,
        operation: row.operation,
        requestHash: row.request_hash,
        status: row.status,
        answer: { status: row.response_status, headers: row.response_headers, body: row.response_data },
      },
    ]),
  );
}

/** Neither part can hold a line break, so the pair is unambiguous. */
export function claimKey({ subject, key }: { subject: string; key: string }): string {
  return `${subject}\n${key}`;
}
