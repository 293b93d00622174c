import { randomUUID } from "node:crypto";
import type { TccFailure } from "../../engine/tcc-instance.ts";
import { payOrderTcc } from "../../services/saga/pay-order.tcc.ts";
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

describe("a payment that failed before the order heard of it", () => {
  const reason = { code: "PAYMENT_DECLINED", message: "The provider refused." };

  test("leaves its reason on the order, until the next payment begins; the try that comes late is refused", async () => {
    const orderId = await world.created();
    const [gid, next] = [randomUUID(), randomUUID()];
    expect(await world.call("order.cancelPay", { gid, orderId, reason })).toMatchObject({ orderId });
    await expect(world.call("order.tryPay", { gid, orderId })).rejects.toMatchObject({ type: "TCC_HANGING" });
    const { status, reason: why, timeline } = await world.call("order.get", { orderId });
    expect({ status, why, steps: timeline.length }).toEqual({ status: "created", why: reason, steps: 2 });
    await world.call("order.tryPay", { gid: next, orderId });
    expect(await world.has(orderId, "paying")).toMatchObject({ reason: undefined });
    // Another payment of the order that fails now is not what this one is about.
    await world.call("order.cancelPay", { gid: randomUUID(), orderId, reason });
    await world.call("order.confirmPay", { gid: next, orderId });
    expect(await world.has(orderId, "paid")).toMatchObject({ reason: undefined });
  });

  test("because the order could not be paid leaves the earlier reason alone", async () => {
    const refused = { code: "ORDER_STATE_CONFLICT", message: "It is being paid.", participant: "order" };
    const params = (failure: TccFailure) =>
      payOrderTcc.participants
        .find(({ name }) => name === "order")
        ?.operations.cancel.params({ gid: "gid", input: { orderId: "id" }, failure });
    expect(params(refused)).toEqual({ gid: "gid", orderId: "id" });
    expect(params({ ...refused, code: "TIMEOUT" })).toMatchObject({ reason: { code: "TIMEOUT" } });
    expect(params({ ...reason, participant: "payment" })).toMatchObject({ reason });
  });
});
