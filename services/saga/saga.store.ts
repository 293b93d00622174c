import type { Change, InstanceStore } from "../../engine/ports.ts";
import type { Outcome } from "../../engine/protocol.ts";
import type { SagaInstance, SagaState } from "../../engine/saga-instance.ts";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import type { EventData, EventType } from "../../lib/events.ts";
import { joinJson, jsonColumn } from "../../lib/json-column.ts";
import { statement } from "../../lib/statement.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import { type PackedProgress, packProgress, unpackProgress } from "./saga.progress.ts";

/** All SQL of sagas. */

export interface SagaRow {
  id: string;
  saga_type: string;
  state: SagaState;
  current_step: string | null;
  attempt: number;
  version: number;
  published: number;
  business_key: string;
  owner_id: string;
  correlation_id: string;
  traceparent: string | null;
  input: unknown;
  progress: PackedProgress;
  created_at: Date;
  updated_at: Date;
  wake_in_ms: number | null;
}

// What is left until its wake-up comes along: an input that says nothing of it must not put it off for ever.
export const SAGA_COLUMNS = `id, saga_type, state, current_step, attempt, version, published, business_key, owner_id,
  correlation_id, traceparent, input, progress, created_at, updated_at,
  case when wake_at is not null then greatest(0, ceil(extract(epoch from wake_at - now()) * 1000))::int end as wake_in_ms`;

/** A saga as it stands in the database. */
export interface StoredSaga extends SagaInstance {
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export function sagaFromRow(row: SagaRow): StoredSaga {
  return {
    id: row.id,
    type: row.saga_type,
    state: row.state,
    step: row.current_step,
    attempt: row.attempt,
    version: row.version,
    published: row.published,
    businessKey: row.business_key,
    ownerId: row.owner_id,
    correlationId: row.correlation_id,
    ...(row.traceparent !== null && { traceparent: row.traceparent }),
    input: row.input,
    progress: unpackProgress(row.progress),
    wakeInMs: row.wake_in_ms,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

const INSERT = statement(
  "saga_insert",
  `insert into saga_instances (id, saga_type, state, current_step, attempt, version, published, business_key,
     owner_id, correlation_id, input, progress, wake_at, traceparent)
   select id, type, state, step, attempt, version, published, business_key, owner_id, correlation_id, input, progress,
          now() + wake_in_ms * interval '1 millisecond', traceparent
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[], $7::int[], $8::uuid[],
               $9::uuid[], $10::text[], ${jsonColumn(11)}, ${jsonColumn(12)}, $13::int[], $14::text[])
        as t(id, type, state, step, attempt, version, published, business_key, owner_id, correlation_id, input,
             progress, wake_in_ms, traceparent)`,
);

export function insertSagas(tx: Tx, sagas: readonly SagaInstance[]): void {
  tx.send(INSERT, [
    sagas.map((saga) => saga.id),
    sagas.map((saga) => saga.type),
    sagas.map((saga) => saga.state),
    sagas.map((saga) => saga.step),
    sagas.map((saga) => saga.attempt),
    sagas.map((saga) => saga.version),
    sagas.map((saga) => saga.published),
    sagas.map((saga) => saga.businessKey),
    sagas.map((saga) => saga.ownerId),
    sagas.map((saga) => saga.correlationId),
    joinJson(sagas.map((saga) => saga.input)),
    joinJson(sagas.map((saga) => packProgress(saga.progress))),
    sagas.map((saga) => saga.wakeInMs),
    sagas.map((saga) => saga.traceparent ?? null),
  ]);
}

// Compare-and-set on the version: of several nodes that move one saga, one gets through.
const SAVE = statement(
  "saga_save",
  `update saga_instances s
   set state = t.state, current_step = t.step, attempt = t.attempt, version = s.version + 1, published = t.published,
       progress = t.progress, wake_at = now() + t.wake_in_ms * interval '1 millisecond', updated_at = now()
   from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::int[], $6::int[], ${jsonColumn(7)}, $8::int[])
        as t(id, version, state, step, attempt, published, progress, wake_in_ms)
   where s.id = t.id and s.version = t.version
   returning s.id`,
);

function saveValues(changes: readonly Change<SagaInstance>[]): unknown[] {
  return [
    changes.map(({ after }) => after.id),
    changes.map(({ before }) => before.version),
    changes.map(({ after }) => after.state),
    changes.map(({ after }) => after.step),
    changes.map(({ after }) => after.attempt),
    changes.map(({ after }) => after.published),
    joinJson(changes.map(({ after }) => packProgress(after.progress))),
    changes.map(({ after }) => after.wakeInMs),
  ];
}

const LOAD = statement(
  "saga_load",
  `select ${SAGA_COLUMNS} from saga_instances where id = any($1) order by id for update`,
);

const CLAIM_DUE = statement(
  "saga_claim_due",
  `with due as (
     select id from saga_instances where wake_at <= now() order by wake_at limit $1 for update skip locked
   )
   update saga_instances set wake_at = now() + $2 * interval '1 millisecond'
   where id = any(array(select id from due))
   returning ${SAGA_COLUMNS}`,
);

/** The engine's port to saga_instances and the outbox beside it. */
export function createSagaStore(
  database: Database,
  enqueueEvents: (tx: Tx, events: readonly NewEvent[]) => void,
): InstanceStore<SagaInstance, Tx> {
  const save = async (tx: Tx, changes: readonly Change<SagaInstance>[]) => {
    const rows = await tx.query<{ id: string }>(SAVE, saveValues(changes));
    const saved = new Set(rows.map(({ id }) => id));
    enqueueEvents(tx, changes.filter(({ after }) => saved.has(after.id)).flatMap(eventsOf));
    return saved;
  };
  return {
    transaction: (work) => withTransaction(database, work),
    async load(tx, ids) {
      return (await tx.query<SagaRow>(LOAD, [ids])).map(sagaFromRow);
    },
    save,
    async saveAlone(changes) {
      if (changes.some(({ published }) => published.length > 0)) {
        return withTransaction(database, (tx) => save(tx, changes));
      }
      const rows = await database.query<{ id: string }>(SAVE, saveValues(changes));
      return new Set(rows.map(({ id }) => id));
    },
    async claimDue(limit, leaseMs) {
      return (await database.query<SagaRow>(CLAIM_DUE, [limit, leaseMs])).map(sagaFromRow);
    },
  };
}

/** The saga of each id, in their order. */
export async function findEach(
  database: Database,
  ids: readonly string[],
): Promise<(StoredSaga | undefined)[]> {
  const sagas = new Map((await findSagas(database, [...new Set(ids)])).map((saga) => [saga.id, saga]));
  return ids.map((id) => sagas.get(id));
}

/** Writes sagas that start, with what they publish. */
export const inserter =
  (enqueueEvents: (tx: Tx, events: readonly NewEvent[]) => void) =>
  (tx: Tx, started: readonly Outcome<SagaInstance>[]): void => {
    insertSagas(
      tx,
      started.map(({ instance }) => instance),
    );
    const events = started.flatMap(eventsOfStart);
    if (events.length > 0) enqueueEvents(tx, events);
  };

/** What a saga publishes as it starts: told in the transaction that inserts it, or never. */
export function eventsOfStart({ instance, effects }: Outcome<SagaInstance>): NewEvent[] {
  const published = effects.filter((effect) => effect.kind === "publish");
  return eventsOf({
    before: { ...instance, published: instance.published - published.length },
    after: instance,
    published,
  });
}

function eventsOf({ before, after, published }: Change<SagaInstance>): NewEvent[] {
  return published.map((effect, index) => ({
    // The definitions are typed over EventData: what they publish is one of its events.
    type: effect.type as EventType,
    data: effect.data as EventData[EventType],
    aggregateId: after.id,
    aggregateVersion: before.published + index + 1,
    correlationId: after.correlationId,
  }));
}

const FIND = statement("saga_find", `select ${SAGA_COLUMNS} from saga_instances where id = any($1)`);
const FIND_BY_BUSINESS_KEY = statement(
  "saga_find_by_business_key",
  `select ${SAGA_COLUMNS} from saga_instances where business_key = $1 and saga_type = $2 order by id limit 1`,
);

export async function findSagas(database: Database, ids: readonly string[]): Promise<StoredSaga[]> {
  return (await database.query<SagaRow>(FIND, [ids])).map(sagaFromRow);
}

export async function findSagaOf(
  database: Database,
  businessKey: string,
  type: string,
): Promise<StoredSaga | undefined> {
  const [row] = await database.query<SagaRow>(FIND_BY_BUSINESS_KEY, [businessKey, type]);
  return row && sagaFromRow(row);
}

const ACTIVE = statement(
  "saga_active_count",
  "select count(*)::int as active from (select 1 from saga_instances where wake_at is not null limit 100000) open",
);

/** Sagas that have not ended, counted up to 100,000. */
export async function activeCount(database: Database): Promise<number> {
  const [row] = await database.query<{ active: number }>(ACTIVE);
  return row?.active ?? 0;
}
