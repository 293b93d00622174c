import type { Change, InstanceStore } from "../../engine/ports.ts";
import type { Outcome } from "../../engine/protocol.ts";
import type { TccFailure, TccInstance, TccParticipant, TccState } from "../../engine/tcc-instance.ts";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import { joinJson, jsonColumn } from "../../lib/json-column.ts";
import { statement } from "../../lib/statement.ts";

/** All SQL of TCC transactions. */

export interface TccRow {
  id: string;
  tcc_type: string;
  state: TccState;
  version: number;
  published: number;
  stuck: boolean;
  business_key: string;
  owner_id: string;
  correlation_id: string;
  traceparent: string | null;
  input: unknown;
  participants: TccParticipant[];
  failure: TccFailure | null;
  expired: boolean;
  created_at: Date;
  updated_at: Date;
}

export const TCC_COLUMNS = `id, tcc_type, state, version, published, stuck, business_key, owner_id, correlation_id, traceparent,
  input, participants, failure, expires_at <= now() as expired, created_at, updated_at`;

/** A transaction as it stands in the database. */
export interface StoredTcc extends TccInstance {
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export function tccFromRow(row: TccRow): StoredTcc {
  return {
    id: row.id,
    type: row.tcc_type,
    state: row.state,
    version: row.version,
    published: row.published,
    stuck: row.stuck,
    businessKey: row.business_key,
    ownerId: row.owner_id,
    correlationId: row.correlation_id,
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
    input: row.input,
    participants: row.participants,
    ...(row.failure && { failure: row.failure }),
    expired: row.expired,
    deadlineMs: 0,
    wakeInMs: null,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

// One too many has no number, which the column refuses; two that take the same one meet at the unique index.
const INSERT = statement(
  "tcc_insert",
  `insert into tcc_transactions (id, tcc_type, state, version, business_key, owner_id, correlation_id, input,
     participants, expires_at, wake_at, attempt, traceparent)
   select id, type, state, version, t.business_key, owner_id, correlation_id, input, participants,
          now() + deadline_ms * interval '1 millisecond', now() + wake_in_ms * interval '1 millisecond',
          nullif(least(coalesce(b.latest, 0) + nth, $12 + 1), $12 + 1), traceparent
   from (select *, row_number() over (partition by business_key) as nth
         from unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::uuid[], $6::uuid[], $7::text[], ${jsonColumn(8)},
                     ${jsonColumn(9)}, $10::int[], $11::int[], $13::text[])
              as u(id, type, state, version, business_key, owner_id, correlation_id, input, participants, deadline_ms,
                   wake_in_ms, traceparent)) t
   cross join lateral (select max(attempt) as latest from tcc_transactions a where a.business_key = t.business_key) b
   order by t.business_key`,
);

/** @param attemptsMax transactions that one business key may have in all */
export function insertTransactions(
  tx: Tx,
  transactions: readonly TccInstance[],
  attemptsMax = ATTEMPTS_MAX,
): void {
  tx.send(INSERT, [
    transactions.map(({ id }) => id),
    transactions.map(({ type }) => type),
    transactions.map(({ state }) => state),
    transactions.map(({ version }) => version),
    transactions.map(({ businessKey }) => businessKey),
    transactions.map(({ ownerId }) => ownerId),
    transactions.map(({ correlationId }) => correlationId),
    joinJson(transactions.map(({ input }) => input)),
    joinJson(transactions.map(({ participants }) => participants)),
    transactions.map(({ deadlineMs }) => deadlineMs),
    transactions.map(({ wakeInMs }) => wakeInMs),
    attemptsMax,
    transactions.map(({ traceparent }) => traceparent ?? null),
  ]);
}

/** As many as the column can number. */
const ATTEMPTS_MAX = 32_000;

/** Why one transaction, inserted alone, was refused: there have been too many, or another one starts at this moment. */
export function refusedAttempt(error: unknown): "exhausted" | "meanwhile" | undefined {
  const { code, column, constraint } = (error ?? {}) as {
    readonly code?: string;
    readonly column?: string;
    readonly constraint?: string;
  };
  if (code === "23502" && column === "attempt") return "exhausted";
  return constraint === "tcc_transactions_attempts" ? "meanwhile" : undefined;
}

// The decision: from trying to confirming only while the deadline, by the database's clock, has not passed. A wake-up
// time that is still good for half of what is asked for is left alone: it is indexed, and changing it would write
// every index of the row anew (3 of the 6 entries that a payment's two saves wrote).
const SAVE = statement(
  "tcc_save",
  `update tcc_transactions s
   set state = t.state, version = s.version + 1, stuck = t.stuck, participants = t.participants,
       failure = nullif(t.failure::text, 'null')::json, updated_at = now(),
       wake_at = case when s.wake_at between now() + t.wake_in_ms * interval '0.5 milliseconds'
                                         and now() + t.wake_in_ms * interval '1 millisecond'
                      then s.wake_at else now() + t.wake_in_ms * interval '1 millisecond' end
   from unnest($1::uuid[], $2::int[], $3::text[], $4::boolean[], ${jsonColumn(5)}, ${jsonColumn(6)}, $7::int[])
        as t(id, version, state, stuck, participants, failure, wake_in_ms)
   where s.id = t.id and s.version = t.version
     and not (s.state = 'TRYING' and t.state = 'CONFIRMING' and s.expires_at <= now())
   returning s.id`,
);

const LOAD = statement(
  "tcc_load",
  `select ${TCC_COLUMNS} from tcc_transactions where id = any($1) order by id for update`,
);
const FIND = statement("tcc_find", `select ${TCC_COLUMNS} from tcc_transactions where id = any($1)`);

const CLAIM_DUE = statement(
  "tcc_claim_due",
  `with due as (
     select id from tcc_transactions where wake_at <= now() order by wake_at limit $1 for update skip locked
   )
   update tcc_transactions set wake_at = now() + $2 * interval '1 millisecond'
   where id = any(array(select id from due))
   returning ${TCC_COLUMNS}`,
);

/** The engine's port to tcc_transactions. A TCC publishes nothing itself: its participants tell. */
export function createTccStore(database: Database): InstanceStore<TccInstance, Tx> {
  const saveIn = async (tx: Pick<Tx, "query">, changes: readonly Change<TccInstance>[]) => {
    const rows = await tx.query<{ id: string }>(SAVE, [
      changes.map(({ after }) => after.id),
      changes.map(({ before }) => before.version),
      changes.map(({ after }) => after.state),
      changes.map(({ after }) => after.stuck),
      joinJson(changes.map(({ after }) => after.participants)),
      joinJson(changes.map(({ after }) => after.failure ?? null)),
      changes.map(({ after }) => after.wakeInMs),
    ]);
    return new Set(rows.map(({ id }) => id));
  };
  return {
    transaction: (work) => withTransaction(database, work),
    load: async (tx, ids) => (await tx.query<TccRow>(LOAD, [ids])).map(tccFromRow),
    save: saveIn,
    saveAlone: (changes) => saveIn(database, changes),
    claimDue: async (limit, leaseMs) =>
      (await database.query<TccRow>(CLAIM_DUE, [limit, leaseMs])).map(tccFromRow),
  };
}

export async function findTransactions(database: Database, ids: readonly string[]): Promise<StoredTcc[]> {
  return (await database.query<TccRow>(FIND, [ids])).map(tccFromRow);
}

const HOLDING = statement(
  "tcc_holding",
  `select p.value ->> 'name' as name, count(*)::int as count
   from (select participants from tcc_transactions where wake_at is not null limit 100000) open
   cross join lateral json_array_elements(open.participants) p
   where p.value ->> 'state' in ('PENDING', 'TRY_SUCCESS')
   group by 1`,
);

/** How many open transactions each participant holds something for, or is being asked to; counted up to 100,000. */
export async function holdingCounts(database: Database): Promise<ReadonlyMap<string, number>> {
  const rows = await database.query<{ name: string; count: number }>(HOLDING);
  return new Map(rows.map(({ name, count }) => [name, count]));
}

/** The transaction of each id, in their order. */
export async function findEachTransaction(
  database: Database,
  ids: readonly string[],
): Promise<(StoredTcc | undefined)[]> {
  const found = await findTransactions(database, [...new Set(ids)]);
  const byId = new Map(found.map((transaction) => [transaction.id, transaction]));
  return ids.map((id) => byId.get(id));
}

/** Writes transactions that start. */
export const starter =
  (attemptsMax: number) =>
  (tx: Tx, started: readonly Outcome<TccInstance>[]): void =>
    insertTransactions(
      tx,
      started.map(({ instance }) => instance),
      attemptsMax,
    );
