import { createHash, randomUUID } from "node:crypto";
import { callAction } from "../../lib/define.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { startServices } from "../../scripts/serve.ts";
import type { Flow } from "./flow.ts";
import type { ServicesTarget } from "./protocol.ts";

const WAIT_MS = 10_000;
const CALL_MS = 15_000;

/** Holdfast without HTTP: its services in the process that asks them, as a library would be. */
export async function openServices({ env, customerIds }: ServicesTarget): Promise<Flow> {
  // The services read it when they are imported.
  process.env = { ...env, SERVICES: "order,product,payment,customer,saga" };
  const { broker, stop } = await startServices(["order", "product", "payment", "customer", "saga"]);
  let placed = 0;
  return {
    async place({ first, second }) {
      const customerId = customerIds[placed % customerIds.length] ?? "";
      placed += 1;
      const items = [
        { productId: first, quantity: 1 },
        { productId: second, quantity: 2 },
      ];
      const idempotency = {
        subject: customerId,
        key: randomUUID(),
        operation: "POST /orders",
        requestHash: createHash("sha256").update(JSON.stringify(items)).digest("hex"),
      };
      const before = performance.now();
      const caller = { caller: "gateway", timeout: CALL_MS } as const;
      const created = await callAction(
        broker,
        "saga.createOrder",
        { orderId: uuidv7(), customerId, items, idempotency },
        caller,
      );
      const acceptMs = performance.now() - before;
      const { orderId, sagaId } = created.body;
      const saga = await callAction(broker, "saga.get", { sagaId, customerId, waitMs: WAIT_MS }, caller);
      if (saga.state !== "COMPLETED") throw new Error(`the saga is ${saga.state}`);
      return { orderId, acceptMs };
    },
    polled: () => false,
    close: stop,
  };
}
