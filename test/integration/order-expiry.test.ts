import { randomUUID } from "node:crypto";
import { withTransaction } from "../../lib/database.ts";
import type { DomainEvent } from "../../lib/events.ts";
import { expireOrders } from "../../services/order/order.expiry.ts";
import { useServer } from "../support/service-database.ts";
import { openCommands } from "./order-commands.world.ts";

/** What becomes of an order whose reservation has expired, on a real PostgreSQL. */

const server = useServer();

async function openOrders() {
  const world = await openCommands(server);
  return {
    ...world,
    released: (reason: string, ...orderIds: readonly string[]) =>
      withTransaction(world.database, (tx) =>
        expireOrders(
          tx,
          world.context,
          orderIds.map((orderId) => stockReleased(orderId, reason)),
        ),
      ),
  };
}

function stockReleased(orderId: string, reason: string): DomainEvent {
  return {
    eventId: randomUUID(),
    eventType: "STOCK_RELEASED",
    aggregateId: orderId,
    aggregateType: "reservation",
    aggregateVersion: 2,
    timestamp: new Date().toISOString(),
    version: 1,
    correlationId: "test",
    data: { orderId, items: [], reason },
  };
}

const EXPIRED = "RESERVATION_EXPIRED";
const CANCELLED = { status: "cancelled", reason: EXPIRED, told: 1 };

test.each([
  ["draft", []],
  ["created", ["confirm"]],
] as const)("an order that is %s is cancelled, and that is told once", async (_status, commands) => {
  const { order, released, of } = await openOrders();
  const orderId = await order(...commands);
  await released(EXPIRED, orderId);
  await released(EXPIRED, orderId);
  await expect(of(orderId)).resolves.toEqual(CANCELLED);
});

test.each([
  ["paying", ["confirm", "startPaying"]],
  ["paid", ["confirm", "startPaying", "confirmPaid"]],
  ["cancelling", ["confirm", "requestCancellation"]],
] as const)("an order that is %s is left, and holds up no other", async (status, commands) => {
  const { order, released, of } = await openOrders();
  const [left, expired] = [await order(...commands), await order("confirm")];
  await released(EXPIRED, left, randomUUID(), expired);
  await expect(of(left)).resolves.toMatchObject({ status, told: 0 });
  await expect(of(expired)).resolves.toEqual(CANCELLED);
});

test("stock that was released for another reason cancels nothing", async () => {
  const { order, released, of } = await openOrders();
  const orderId = await order("confirm");
  await released("CANCELLED_BY_CUSTOMER", orderId);
  await expect(of(orderId)).resolves.toMatchObject({ status: "created", told: 0 });
});
