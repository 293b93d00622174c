import type { OrderView } from "../../lib/contracts.ts";
import { TOPICS } from "../../lib/events.ts";
import { auditSystem } from "./audit.ts";
import { type BusRecord, openProbe } from "./bus-probe.ts";
import { type LoadResult, NO_ANSWER } from "./load.ts";
import { ended, placedOf } from "./shop.ts";
import type { System } from "./system.ts";

/** What a client may be told while parts of the system are away; never that something went wrong inside. */
const documented = new Set([
  NO_ANSWER,
  "409 REQUEST_IN_PROGRESS",
  "503 SERVICE_NOT_AVAILABLE",
  "503 DATABASE_UNAVAILABLE",
  "503 DATABASE_BUSY",
  "503 COMMIT_OUTCOME_UNKNOWN",
  "503 OVERLOADED",
  "504 REQUEST_TIMEOUT",
]);
/** How the orders of the load may end; TIMEOUT is what a part that was away too long ends an order with. */
const honest = new Set([
  "created",
  "cancelled OUT_OF_STOCK",
  "cancelled PRODUCT_NOT_FOUND",
  "cancelled CUSTOMER_INACTIVE",
  "cancelled TIMEOUT",
]);
/** What is promised of an order once all faults are over. */
const endedWithinMs = 60_000;

export interface Kept {
  readonly orders: number;
  /** Answers that left an outcome open, and connections that broke: what of the faults the clients met. */
  readonly open: LoadResult["open"];
  /** How many orders ended in each way. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Longest time from the end of the faults to the end of an order. */
  readonly lastEndedMs: number;
}

/**
 * Checks, after the last fault, everything that must hold whatever the faults were: each accepted order ends in
 * time, each key stands for one order and one saga, whoever asked again got the same answer, the audit is clean, and
 * the bus has every event in its order.
 */
export async function expectPromisesKept(
  system: System,
  { wishes, open, faultsEndedAt }: LoadResult,
): Promise<Kept> {
  expect(Object.keys(open).filter((what) => !documented.has(what))).toEqual([]);
  const refused = wishes.filter(({ answers }) => answers.some(({ status }) => status !== 202));
  expect(refused.map(({ answers }) => answers.map(({ text }) => text))).toEqual([]);
  const differing = wishes.filter(({ answers }) => new Set(answers.map(({ text }) => text)).size !== 1);
  expect(differing.map(({ key, answers }) => [key, answers.map(({ text }) => text)])).toEqual([]);
  const orders = wishes.flatMap((wish) =>
    wish.answers.slice(0, 1).map((answer) => ({ wish, ...placedOf(answer) })),
  );
  expect(new Set(orders.map(({ orderId }) => orderId)).size).toBe(wishes.length);

  const views: OrderView[] = [];
  for (const { orderId, wish } of orders) {
    const timeoutMs = Math.max(1_000, faultsEndedAt + endedWithinMs - performance.now());
    views.push(await ended(system, orderId, { as: wish.as, timeoutMs }));
  }
  const lastEndedMs = Math.round(performance.now() - faultsEndedAt);
  const tally = Map.groupBy(views, ({ status, reason }) => `${status} ${reason?.code ?? ""}`.trim());
  const outcomes = Object.fromEntries([...tally].map(([outcome, all]) => [outcome, all.length]));
  expect(Object.keys(outcomes).filter((outcome) => !honest.has(outcome))).toEqual([]);
  const hopeless = orders.filter(({ wish }, index) => !wish.canSucceed && views[index]?.status === "created");
  expect(hopeless).toEqual([]);

  // Exactly one of everything for each key: no more sagas than keys, and none under a key of nobody's.
  const sagas = await system.sql<{ key: string; order: string }>(
    "saga",
    `select r.key, s.business_key as order from saga_instances s
     left join idempotency_records r on r.response_data->>'sagaId' = s.id::text`,
  );
  expect(sagas.map(({ key, order }) => `${key} ${order}`).sort()).toEqual(
    orders.map(({ wish, orderId }) => `${wish.key} ${orderId}`).sort(),
  );
  expect(await auditSystem(system.sql)).toEqual([]);
  await expectTopicsComplete(system);
  return { orders: wishes.length, open, outcomes, lastEndedMs };
}

/** Each committed event is on its topic and nothing else is, and each aggregate's come in the order of their versions. */
async function expectTopicsComplete(system: System): Promise<void> {
  const probe = await openProbe(system);
  try {
    const topics = Object.values(TOPICS).map(({ name }) => probe.records(name));
    const records = (await Promise.all(topics)).flat();
    const committed = await Promise.all(
      (["order", "product", "saga"] as const).map((database) =>
        system.sql<{ id: string }>(database, "select id from outbox_events"),
      ),
    );
    const ids = committed.flat().map(({ id }) => id);
    const onTopics = new Set(records.map(({ headers }) => headers["event-id"] ?? ""));
    expect([...onTopics].sort()).toEqual(ids.sort());
    expect([...firstVersions(records)].filter(([, versions]) => !isAscending(versions))).toEqual([]);
  } finally {
    await probe.close();
  }
}

/** The versions of each aggregate as a reader meets them, each for the first time: what comes again is a duplicate. */
function firstVersions(records: readonly BusRecord[]): ReadonlyMap<string, number[]> {
  const byAggregate = new Map<string, number[]>();
  for (const { topic, key, value } of records) {
    const { aggregateVersion } = JSON.parse(value) as { aggregateVersion: number };
    const versions = byAggregate.get(`${topic} ${key}`) ?? [];
    byAggregate.set(`${topic} ${key}`, versions);
    if (!versions.includes(aggregateVersion)) versions.push(aggregateVersion);
  }
  return byAggregate;
}

const isAscending = (versions: readonly number[]) =>
  versions.every((version, index) => version === index + 1);
