import { auditSystem } from "./audit.ts";
import type { LoadResult } from "./load.ts";
import { ended, placedOf } from "./shop.ts";
import type { System } from "./system.ts";

/** What is promised of an order once all faults are over. */
const endedWithinMs = 60_000;

export interface Kept {
  readonly orders: number;
  /** Answers that left an outcome open, and connections that broke: how much of the faults the clients met. */
  readonly unknownOutcomes: number;
  readonly created: number;
  readonly cancelled: number;
  /** Longest time from the end of the faults to the end of an order. */
  readonly lastEndedMs: number;
}

/**
 * Checks, after the last fault, everything that must hold whatever the faults were: each accepted order ends in
 * time, each key stands for one order and one saga, whoever asked again got the same answer, and the audit is clean.
 */
export async function expectPromisesKept(
  system: System,
  { wishes, faultsEndedAt }: LoadResult,
): Promise<Kept> {
  const refused = wishes.filter(({ answers }) => answers.some(({ status }) => status !== 202));
  expect(refused.map(({ answers }) => answers.map(({ text }) => text))).toEqual([]);
  const differing = wishes.filter(({ answers }) => new Set(answers.map(({ text }) => text)).size !== 1);
  expect(differing.map(({ key, answers }) => [key, answers.map(({ text }) => text)])).toEqual([]);
  const orders = wishes.flatMap((wish) =>
    wish.answers.slice(0, 1).map((answer) => ({ wish, ...placedOf(answer) })),
  );
  expect(new Set(orders.map(({ orderId }) => orderId)).size).toBe(wishes.length);

  const statuses: string[] = [];
  for (const { orderId, wish } of orders) {
    const timeoutMs = Math.max(1_000, faultsEndedAt + endedWithinMs - performance.now());
    statuses.push((await ended(system, orderId, { as: wish.as, timeoutMs })).status);
  }
  const lastEndedMs = Math.round(performance.now() - faultsEndedAt);
  const created = statuses.filter((status) => status === "created").length;
  const cancelled = statuses.filter((status) => status === "cancelled").length;
  expect(created + cancelled).toBe(wishes.length);

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
  const unknownOutcomes = wishes.reduce((sum, { unknown }) => sum + unknown, 0);
  return { orders: wishes.length, unknownOutcomes, created, cancelled, lastEndedMs };
}
