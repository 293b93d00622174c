import { randomUUID } from "node:crypto";
import { openBusiness } from "../load/floor-flow.ts";
import type { Flow } from "../load/flow.ts";
import { BUSINESS_CONNECTIONS_MAX, type OrderRows, rowsOf } from "../load/order-rows.ts";
import type { DbosTarget } from "../load/protocol.ts";
import { requireFrom } from "./installed.ts";
import { PEER_STEPS } from "./steps.ts";

interface Dbos {
  setConfig(config: object): void;
  launch(): Promise<void>;
  shutdown(): Promise<void>;
  runStep(step: () => Promise<void>, options: { readonly name: string }): Promise<void>;
  registerWorkflow(
    workflow: (order: OrderRows) => Promise<void>,
    options: { readonly name: string },
  ): (order: OrderRows) => Promise<void>;
  startWorkflow(
    workflow: (order: OrderRows) => Promise<void>,
    options: { readonly workflowID: string },
  ): (order: OrderRows) => Promise<{ getResult(): Promise<void> }>;
}

/** DBOS Transact: a library in the process of its user, its records in PostgreSQL. A step is recorded before the next. */
export async function openDbos({ folder, url, systemUrl, customerIds }: DbosTarget): Promise<Flow> {
  const { DBOS } = requireFrom<{ DBOS: Dbos }>(folder, "@dbos-inc/dbos-sdk");
  const pool = openBusiness(url, BUSINESS_CONNECTIONS_MAX);
  DBOS.setConfig({ name: "bench", systemDatabaseUrl: systemUrl, logLevel: "error", applicationVersion: "1" });
  const createOrder = DBOS.registerWorkflow(
    async (order) => {
      for (const { name, run } of PEER_STEPS) await DBOS.runStep(() => run(pool, order), { name });
    },
    { name: "createOrder" },
  );
  await DBOS.launch();
  let placed = 0;
  return {
    async place(basket) {
      const id = randomUUID();
      const order = rowsOf(id, customerIds[placed % customerIds.length] ?? "", basket);
      placed += 1;
      const handle = await DBOS.startWorkflow(createOrder, { workflowID: id })(order);
      await handle.getResult();
      return { orderId: id };
    },
    polled: () => false,
    async close() {
      await DBOS.shutdown();
      await pool.end();
    },
  };
}
