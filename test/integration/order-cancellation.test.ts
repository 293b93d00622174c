import { randomUUID } from "node:crypto";
import { requestCancellations } from "../../services/order/order.cancellation.ts";
import { carryOut } from "../../services/order/order.commands.ts";
import type { OrderCommand } from "../../services/order/order.ts";
import { useServer } from "../support/service-database.ts";
import { openCommands } from "./order-commands.world.ts";

/** The request that locks an order for its cancellation, on a real PostgreSQL. */

const server = useServer();

async function openOrders() {
  const world = await openCommands(server);
  const reason = { code: "CANCELLED_BY_CUSTOMER", message: "" };
  return {
    ...world,
    request: (...asked: readonly (readonly [orderId: string, sagaId: string])[]) =>
      requestCancellations(
        world.context,
        asked.map(([orderId, sagaId]) => ({
          params: { orderId, sagaId, reason, actor: "customer" },
          correlationId: "test",
        })),
      ),
    carryOut: (orderId: string, command: OrderCommand) =>
      carryOut(world.context, command, [{ params: { orderId }, correlationId: "test" }]),
  };
}

const CONFLICT = { type: "ORDER_STATE_CONFLICT", data: { status: "paying" } };

test("what was refused is refused again, also when the order could be cancelled by then", async () => {
  const { order, request, carryOut: move, of } = await openOrders();
  const orderId = await order("confirm", "startPaying");
  const [late, saga] = [randomUUID(), randomUUID()];
  expect(await request([orderId, late])).toMatchObject([CONFLICT]);
  await move(orderId, "abortPaying");
  expect(await request([orderId, late])).toMatchObject([CONFLICT]);
  expect(await of(orderId)).toMatchObject({ status: "created" });
  // Another cancellation is not the one that was refused, also in one batch with it.
  const [again, answer] = await request([orderId, late], [orderId, saga]);
  expect(again).toMatchObject(CONFLICT);
  expect(answer).toMatchObject({ orderId, before: "created", items: [{ quantity: 2 }] });
  expect(await of(orderId)).toMatchObject({ status: "cancelling" });
  expect(await request([orderId, saga])).toEqual([answer]);
  expect(await request([orderId, late])).toMatchObject([CONFLICT]);
});

test("twenty at once under one saga, while a payment ends: all are answered alike", async () => {
  const { order, request, carryOut: move, of } = await openOrders();
  for (let round = 0; round < 5; round += 1) {
    const orderId = await order("confirm", "startPaying");
    const saga = randomUUID();
    const asked = Array.from({ length: 20 }, () => request([orderId, saga]));
    const [answers] = await Promise.all([Promise.all(asked), move(orderId, "abortPaying")]);
    const refused = answers.filter(([answer]) => answer instanceof Error);
    expect([0, 20]).toContain(refused.length);
    expect((await of(orderId)).status).toBe(refused.length === 0 ? "cancelling" : "created");
  }
});
