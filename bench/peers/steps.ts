import type pg from "pg";
import { inTransaction } from "../load/floor-flow.ts";
import { ORDER_STEPS, type OrderRows, STEP_NAMES, type StepName } from "../load/order-rows.ts";

/** CREATE_ORDER as an engine with durable steps runs it: each step a transaction of its own, looked after by the engine. */
export const PEER_STEPS = STEP_NAMES.map((name) => ({
  name,
  run: (pool: pg.Pool, order: OrderRows) => runStep(pool, name, order),
}));

async function runStep(pool: pg.Pool, name: StepName, order: OrderRows): Promise<void> {
  if (name === "customer") return ORDER_STEPS.customer(pool, order);
  await inTransaction(pool, (client) => ORDER_STEPS[name](client, order));
}
