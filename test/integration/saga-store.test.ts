import { randomUUID } from "node:crypto";
import { Engine } from "../../engine/engine.ts";
import type { Change } from "../../engine/ports.ts";
import { createSagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import { type Tx, withTransaction } from "../../lib/database.ts";
import { EVENTS } from "../../lib/events.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import { appendEvents } from "../../mixins/outbox.store.ts";
import { createOrderSaga } from "../../services/saga/create-order.saga.ts";
import { stuckCounts } from "../../services/saga/operations.store.ts";
import { activeCount, createSagaStore, findSagaOf, insertSagas } from "../../services/saga/saga.store.ts";
import { run, useServer } from "../support/service-database.ts";

/** The engine's port on a real PostgreSQL: compare-and-set, claims, and a wake-up that is never lost. */

const server = useServer();
const LEASE_MS = 4_000;
const protocol = createSagaProtocol([createOrderSaga(30_000)], LEASE_MS);

const enqueue = (tx: Tx, events: readonly NewEvent[]) =>
  appendEvents(
    tx,
    events.map((event) => ({ ...event, ...EVENTS[event.type] })),
  );

function newSaga() {
  const orderId = randomUUID();
  const customerId = randomUUID();
  const input = { orderId, customerId, items: [{ productId: randomUUID(), quantity: 1 }] };
  const saga = { id: randomUUID(), type: "CREATE_ORDER", input, businessKey: orderId, ownerId: customerId };
  return protocol.start({ ...saga, correlationId: "correlation" }, new Date()).instance;
}

async function setUp() {
  const { url, open } = await server.fresh("saga");
  const database = open();
  const store = createSagaStore(database, enqueue);
  const insert = async (count = 1) => {
    const sagas = Array.from({ length: count }, newSaga);
    await withTransaction(database, async (tx) => insertSagas(tx, sagas));
    return sagas;
  };
  const load = async (...ids: readonly string[]) => store.transaction((tx) => store.load(tx, ids));
  const one = async () => {
    const [saga] = await insert();
    const [loaded] = await load(saga?.id ?? "");
    if (!loaded) throw new Error("the saga is not there");
    return loaded;
  };
  const events = () =>
    run(url, "select aggregate_version as version, event_type as type from outbox_events order by 1");
  const wakesInMs = async (id: string) => {
    const [row] = await run<{ ms: number | null }>(
      url,
      "select (extract(epoch from wake_at - now()) * 1000)::float8 as ms from saga_instances where id = $1",
      [id],
    );
    return row?.ms ?? null;
  };
  return { url, database, store, insert, load, one, events, wakesInMs };
}

const reserving = (before: SagaInstance): Change<SagaInstance> => ({
  before,
  after: { ...before, step: "reserveStock", published: before.published + 1, wakeInMs: 30_000 },
  published: [
    {
      kind: "publish",
      type: "RESERVE_STOCK",
      data: { orderId: before.businessKey, sagaId: before.id, items: [{ productId: "p", quantity: 1 }] },
    },
  ],
});

test("a saga comes back as it was put in", async () => {
  const { insert, load, store, one } = await setUp();
  const [saga] = await insert();
  const [loaded] = await load(saga?.id ?? "");
  expect(loaded).toMatchObject({ ...saga, wakeInMs: expect.any(Number) });
  const before = await one();
  const error = { code: "TIMEOUT", message: "late" };
  const after: SagaInstance = {
    ...before,
    state: "STUCK",
    step: "confirmOrder",
    attempt: 7,
    progress: {
      direction: "backward",
      results: { quoteItems: { total: 1 } },
      steps: [
        {
          name: "a",
          status: "FAILED",
          attempts: 2,
          startedAtMs: Date.parse("2026-01-02T03:04:05.678Z"),
          endedAtMs: Date.parse("2026-01-02T03:04:06.000Z"),
          error,
        },
        { name: "b", status: "RUNNING", attempts: 1, startedAtMs: Date.parse("2026-01-02T03:04:06.000Z") },
      ],
      failure: { ...error, step: "a" },
      early: [{ eventId: "e", type: "T", data: { x: 1 } }],
    },
  };
  await expect(store.saveAlone([{ before, after, published: [] }])).resolves.toEqual(new Set([before.id]));
  const [again] = await load(before.id);
  expect(again).toEqual({
    ...after,
    version: 2,
    wakeInMs: expect.any(Number),
    createdAt: expect.any(Date),
    updatedAt: expect.any(Date),
  });
});

test("a save goes through only from the version it was made from, and publishes only then", async () => {
  const { store, one, load, events } = await setUp();
  const before = await one();
  await expect(store.saveAlone([reserving(before)])).resolves.toEqual(new Set([before.id]));
  await expect(store.saveAlone([reserving(before)])).resolves.toEqual(new Set());
  const stale = { before, after: { ...before, step: "draftOrder" }, published: [] };
  await expect(store.saveAlone([stale])).resolves.toEqual(new Set());
  await expect(load(before.id)).resolves.toMatchObject([{ version: 2, step: "reserveStock", published: 1 }]);
  await expect(events()).resolves.toEqual([{ version: 1, type: "RESERVE_STOCK" }]);
});

test("of many that save one saga at once, one gets through", async () => {
  const { store, insert, load, events } = await setUp();
  const sagas = await load(...(await insert(5)).map(({ id }) => id));
  const saves = await Promise.all(Array.from({ length: 10 }, () => store.saveAlone(sagas.map(reserving))));
  expect(saves.flatMap((saved) => [...saved]).sort()).toEqual(sagas.map(({ id }) => id).sort());
  await expect(events()).resolves.toHaveLength(5);
});

test("a save whose event cannot be written leaves the saga as it was", async () => {
  const { url, store, one, load } = await setUp();
  const before = await one();
  await run(
    url,
    `insert into outbox_events (id, aggregate_type, aggregate_id, aggregate_version, event_type, topic, payload, headers)
     values (gen_random_uuid(), 'saga', $1, 1, 'X', 't', '{}', '{}')`,
    [before.id],
  );
  await expect(store.saveAlone([reserving(before)])).rejects.toMatchObject({ code: "23505" });
  await expect(load(before.id)).resolves.toMatchObject([{ version: 1, step: "quoteItems" }]);
});

test("only what is due is claimed, by one node at a time, for the time of a lease", async () => {
  const { url, store, insert, wakesInMs } = await setUp();
  const ids = (await insert(30)).map(({ id }) => id);
  await expect(store.claimDue(100, LEASE_MS)).resolves.toEqual([]);
  await run(url, "update saga_instances set wake_at = now() - interval '1 second' where id = any($1)", [
    ids.slice(0, 20),
  ]);
  const claims = await Promise.all(Array.from({ length: 4 }, () => store.claimDue(8, LEASE_MS)));
  const claimed = claims.flat().map(({ id }) => id);
  expect(new Set(claimed).size).toBe(claimed.length);
  claimed.push(...(await store.claimDue(100, LEASE_MS)).map(({ id }) => id));
  expect(claimed.sort()).toEqual(ids.slice(0, 20).sort());
  expect(await wakesInMs(claimed[0] ?? "")).toBeGreaterThan(0);
  await expect(store.claimDue(100, LEASE_MS)).resolves.toEqual([]);
});

test("what has used up its retries is counted until it has ended", async () => {
  const { url, database, insert } = await setUp();
  const [one] = await insert(2);
  await expect(stuckCounts(database)).resolves.toEqual({ saga: 0, transaction: 0 });
  await run(url, "update saga_instances set state = 'STUCK' where id = $1", [one?.id]);
  await expect(stuckCounts(database)).resolves.toEqual({ saga: 1, transaction: 0 });
  await run(url, "update saga_instances set state = 'COMPENSATED', wake_at = null where id = $1", [one?.id]);
  await expect(stuckCounts(database)).resolves.toEqual({ saga: 0, transaction: 0 });
});

test("an ended saga is never due, and counts no more", async () => {
  const { database, store, one, load, insert, wakesInMs } = await setUp();
  const before = await one();
  await insert(2);
  await expect(activeCount(database)).resolves.toBe(3);
  const after: SagaInstance = { ...before, state: "COMPLETED", step: null, wakeInMs: null };
  await store.saveAlone([{ before, after, published: [] }]);
  await expect(wakesInMs(before.id)).resolves.toBeNull();
  await expect(load(before.id)).resolves.toMatchObject([{ state: "COMPLETED", wakeInMs: null }]);
  await expect(activeCount(database)).resolves.toBe(2);
  await expect(findSagaOf(database, before.businessKey, "CREATE_ORDER")).resolves.toMatchObject({
    state: "COMPLETED",
  });
});

test("an input that leaves the wake-up alone leaves it in the row: a saga on no node in memory is not forgotten", async () => {
  const { url, store, one, load, wakesInMs } = await setUp();
  const { id } = await one();
  const engine = new Engine<SagaInstance, Tx>(
    protocol,
    {
      store,
      call: async () => ({ ok: true, result: {} }),
      now: () => new Date(),
      observer: {},
    },
    { leaseMs: LEASE_MS, batchSizeMax: 10 },
  );
  const early = { kind: "event" as const, eventId: randomUUID(), type: "STOCK_RESERVED", data: {} };
  await store.transaction((tx) => engine.receive(tx, [{ id, input: early }]));
  await expect(load(id)).resolves.toMatchObject([
    { version: 2, progress: { early: [{ type: "STOCK_RESERVED" }] } },
  ]);
  const wakes = await wakesInMs(id);
  expect(wakes).not.toBeNull();
  expect(wakes).toBeLessThanOrEqual(LEASE_MS);
  // So another node takes it on when that time has passed.
  await run(url, "update saga_instances set wake_at = wake_at - interval '4 seconds'");
  await expect(store.claimDue(1, LEASE_MS)).resolves.toMatchObject([{ id }]);
});
