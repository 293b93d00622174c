import { randomUUID } from "node:crypto";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { type OrderWorld, openOrders } from "./order.world.ts";

/** From the expiry of a reservation, in the product service, to the end of its order, in the order service. */

const server = useServer();
let world: OrderWorld;

beforeAll(async () => {
  world = await openOrders(server, { EXPIRY_POLL_MS: "100" });
}, 60_000);
afterAll(() => world.stop());

const timeIsOver = (orderId: string) =>
  world.sql("product", "update order_reservations set expires_at = now() where order_id = $1", [orderId]);

async function available() {
  const { available: left, reserved } = await world.call("product.get", { productId: world.productId });
  return { left, reserved };
}

/** Until the order service has read that the stock is gone. */
async function readThatItExpired(orderId: string) {
  const events = await until("the expiry has been told", async () => {
    const found = await world.sql<{ id: string }>(
      "product",
      "select id from outbox_events where aggregate_id = $1 and event_type = 'STOCK_RELEASED'",
      [orderId],
    );
    return found.length > 0 && found;
  });
  await until("the order service has read it", async () => {
    const read = await world.sql(
      "order",
      "select 1 from processed_events where consumer_group = 'order-service-group' and event_id = $1",
      [events[0]?.id],
    );
    return read.length > 0;
  });
}

test("an order that nobody pays in time is cancelled, and its stock is for others", async () => {
  const before = await available();
  const orderId = await world.created();
  expect(await available()).toEqual({ left: before.left - 2, reserved: before.reserved + 2 });
  await timeIsOver(orderId);
  expect(await world.has(orderId, "cancelled")).toEqual({
    path: ["draft", "created", "cancelled"],
    reason: "RESERVATION_EXPIRED",
  });
  expect(await available()).toEqual(before);
});

test("one whose payment came too late to hold its stock is cancelled when the payment has failed", async () => {
  const orderId = await world.created();
  const gid = randomUUID();
  await world.call("order.tryPay", { gid, orderId });
  await timeIsOver(orderId);
  await readThatItExpired(orderId);
  expect((await world.call("order.get", { orderId })).status).toBe("paying");
  await expect(world.call("product.stockTry", { gid, orderId })).rejects.toMatchObject({
    type: "STOCK_NOT_RESERVED",
  });
  expect(await world.call("order.cancelPay", { gid, orderId })).toEqual({ orderId, status: "cancelled" });
  expect(await world.has(orderId, "cancelled")).toEqual({
    path: ["draft", "created", "paying", "created", "cancelled"],
    reason: "RESERVATION_EXPIRED",
  });
  expect(await world.call("order.cancelPay", { gid, orderId })).toEqual({ orderId, status: "cancelled" });
});

test("one whose stock a payment holds outlives its time, and goes on when the payment has failed", async () => {
  const orderId = await world.created();
  const gid = randomUUID();
  await world.call("product.stockTry", { gid, orderId });
  await world.call("order.tryPay", { gid, orderId });
  const expired = await world.created();
  await timeIsOver(expired);
  await world.has(expired, "cancelled");
  expect(await world.call("order.cancelPay", { gid, orderId })).toEqual({ orderId, status: "created" });
});
