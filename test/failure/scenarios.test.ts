/**
 * What goes wrong in a shop, one story each, to be read from top to bottom: docs/scenarios.md has the list. All of them
 * happen in one system, which the audit finds clean in the end.
 */
import { randomUUID } from "node:crypto";
import type { Page } from "../../lib/contracts.ts";
import { TOPICS } from "../../lib/events.ts";
import type { DeadLetterView } from "../../lib/operator-contracts.ts";
import { newProduct } from "../integration/checkout-catalogue.suite.ts";
import { type BusRecord, taken } from "../support/bus-probe.ts";
import {
  created,
  orderIs,
  orderOf,
  paid,
  pay,
  paymentOf,
  refund,
  refusalOf,
  settled,
  transactionEnded,
} from "../support/money.ts";
import { violationsOf } from "../support/mortal-system.ts";
import { ended, order, stockOf } from "../support/shop.ts";
import { until } from "../support/until.ts";
import { useSystem } from "../support/use-system.ts";

/** Times that a shop counts in minutes are seconds here. */
const shared = useSystem("embedded", {
  PSP_TIMEOUT_MS: "500",
  EXPIRY_POLL_MS: "100",
  STOCK_REPLY_TIMEOUT_MS: "2000",
  RESERVATION_TTL_SECONDS: "120",
});

const one = (productId: string) => [{ productId, quantity: 1 }];
const withStock = async (stock: number) => (await newProduct(shared().system, stock)).productId;

async function fail(faults: string): Promise<void> {
  const answer = await shared().system.api("/ops/faults", { as: "operator", body: { faults } });
  expect(answer.status).toBe(200);
}

/** The clock is moved on, past the time that the order's stock is reserved for. */
async function timePasses(orderId: string): Promise<void> {
  const over = "update order_reservations set expires_at = now() where order_id = $1";
  await shared().system.sql("product", over, [orderId]);
}

test("checkout: ordered, reserved, paid, sold", async () => {
  const { system } = shared();
  const lamp = await withStock(3);
  const { orderId } = await paid(system, one(lamp));
  expect(await stockOf(system, lamp)).toEqual({ available: 2, reserved: 0, sold: 1 });
  const { timeline } = await orderOf(system, orderId);
  expect(timeline.map(({ status }) => status)).toEqual(["draft", "created", "paying", "paid"]);
});

test("no stock: the order is cancelled, with the reason", async () => {
  const { system } = shared();
  const { orderId } = await order(system, one(system.demo.products.soldOut));
  expect(await ended(system, orderId)).toMatchObject({
    status: "cancelled",
    reason: { code: "OUT_OF_STOCK" },
  });
});

test("one of three lines is out of stock: nothing is reserved of the others", async () => {
  const { system } = shared();
  const [lamp, chair] = [await withStock(3), await withStock(3)];
  const { orderId } = await order(system, [
    ...one(lamp),
    ...one(chair),
    ...one(system.demo.products.soldOut),
  ]);
  expect(await ended(system, orderId)).toMatchObject({
    status: "cancelled",
    reason: { code: "OUT_OF_STOCK" },
  });
  for (const productId of [lamp, chair])
    expect(await stockOf(system, productId)).toEqual({ available: 3, reserved: 0, sold: 0 });
});

test("payment fails at its confirm: nothing is taken, the order is as before, and can be paid", async () => {
  const { system } = shared();
  const { orderId } = await created(system, one(await withStock(1)));
  expect(await settled(system, orderId, "sim_capture_declined")).toMatchObject({ state: "CANCELLED" });
  expect(await orderOf(system, orderId)).toMatchObject({ status: "created" });
  expect(await paymentOf(system, orderId)).toMatchObject({ capturedMinor: 0 });
  expect(await settled(system, orderId)).toMatchObject({ state: "CONFIRMED" });
});

test("a slow service: its answer comes too late, and what it did is undone", async () => {
  const { system } = shared();
  const lamp = await withStock(1);
  await fail("bus.product-service-group.before-handle=pause:4000");
  const { orderId } = await order(system, one(lamp));
  expect(await ended(system, orderId)).toMatchObject({ status: "cancelled", reason: { code: "TIMEOUT" } });
  await fail("");
  await until("the stock is back", async () => (await stockOf(system, lamp)).available === 1);
});

test("the provider takes more than 30 s: the payment is given up, the order expires, and the stock is back", async () => {
  const { system } = shared();
  const lamp = await withStock(1);
  const { orderId } = await created(system, one(lamp));
  expect(await settled(system, orderId, "sim_slow")).toMatchObject({ error: { code: "TIMEOUT" } });
  expect(await paymentOf(system, orderId)).toMatchObject({ status: "voided", capturedMinor: 0 });
  await timePasses(orderId);
  expect(await orderIs(system, orderId, "cancelled")).toMatchObject({
    reason: { code: "RESERVATION_EXPIRED" },
  });
  expect(await stockOf(system, lamp)).toEqual({ available: 1, reserved: 0, sold: 0 });
});

test("the last one, reserved for two minutes: nobody else gets it before, somebody does after, never two", async () => {
  const { system } = shared();
  const lamp = await withStock(1);
  const first = await created(system, one(lamp));
  const second = await ended(system, (await order(system, one(lamp), { as: "otherCustomer" })).orderId, {
    as: "otherCustomer",
  });
  expect(second).toMatchObject({ status: "cancelled", reason: { code: "OUT_OF_STOCK" } });
  const [reserved] = await system.sql<{ seconds: number }>(
    "product",
    "select extract(epoch from expires_at - created_at)::int as seconds from order_reservations where order_id = $1",
    [first.orderId],
  );
  expect(reserved).toEqual({ seconds: 120 });
  await timePasses(first.orderId);
  await orderIs(system, first.orderId, "cancelled");
  await paid(system, one(lamp));
  expect(refusalOf(await pay(system, first.orderId))).toEqual({ status: 409, code: "ORDER_STATE_CONFLICT" });
  expect(await stockOf(system, lamp)).toEqual({ available: 0, reserved: 0, sold: 1 });
});

test("connections to the database are killed within transactions: every order comes to its end all the same", async () => {
  const { system } = shared();
  const lamp = await withStock(20);
  let over = false;
  const killing = (async () => {
    for (let kills = 0; !over; ) {
      const [row] = await system.sql<{ count: number }>(
        "saga",
        `select count(pg_terminate_backend(pid))::int as count from pg_stat_activity
         where application_name like 'holdfast%' and state in ('active', 'idle in transaction')`,
      );
      kills += row?.count ?? 0;
      if (kills > 15) return kills;
    }
    return 0;
  })();
  const orders = Array.from({ length: 10 }, async () => {
    const accepted = async (path: string, body: object) => {
      const key = randomUUID();
      return until(`${path} is accepted`, async () => {
        const answer = await system.api(path, { key, body });
        return answer.status === 202 && answer.body;
      });
    };
    const placed = await accepted("/orders", { items: one(lamp) });
    const orderId = String(placed.orderId);
    await orderIs(system, orderId, "created");
    // A payment may come to nothing when its participants lose their databases again and again: then there is another.
    for (let state = ""; state !== "CONFIRMED"; ) {
      const { transactionId } = await accepted(`/orders/${orderId}/pay`, { paymentMethod: "sim_ok" });
      state = (await transactionEnded(system, String(transactionId))).state;
    }
  });
  await Promise.all(orders);
  over = true;
  await killing;
  expect(await stockOf(system, lamp)).toEqual({ available: 10, reserved: 0, sold: 10 });
});

/** A reader of the bus that adds up what was taken and given back, as a finance department's would. */
async function takings(records: readonly BusRecord[]): Promise<number> {
  const seen = new Map(records.map(({ value, headers }) => [headers["event-id"], JSON.parse(value)]));
  return [...seen.values()].reduce((sum, { eventType, data }) => {
    if (eventType === "PAYMENT_COMPLETED") return sum + data.amountMinor;
    return eventType === "PAYMENT_REFUNDED" ? sum - data.amountMinor : sum;
  }, 0);
}

test("the way to the bus is blocked: the finance view is stale, says so, and catches up to the books", async () => {
  const { system, probe } = shared();
  const view = async () => takings(await probe.records(TOPICS.payments.name));
  const books = async () => {
    const [row] = await system.sql<{ taken: number }>(
      "payment",
      "select coalesce(sum(captured_minor - refunded_minor), 0)::int as taken from payments",
    );
    return row?.taken ?? 0;
  };
  const { orderId } = await paid(system, one(await withStock(1)));
  await until("the view is as the books", async () => (await view()) === (await books()));
  const before = await view();
  await fail("bus.publish.before-send=pause:3000");
  const { paymentId } = await paymentOf(system, orderId);
  expect((await refund(system, paymentId)).status).toBe(202);
  await until("the books tell of the refund", async () => (await books()) !== before);
  expect(await view()).toBe(before);
  const metrics = await (await fetch(`${system.demo.internal}/metrics`)).text();
  expect(metrics).toMatch(/^oms_outbox_pending_count\{service="payment"\} [1-9]/m);
  await fail("");
  await until("the view has caught up", async () => (await view()) === (await books()));
});

test("schemas drift: a field that nobody knows is passed over, one that is missing makes a dead letter", async () => {
  const { system, probe } = shared();
  const { name: topic } = TOPICS.products;
  const known = (await probe.records(topic)).find(
    ({ headers }) => headers["event-type"] === "STOCK_RESERVED",
  );
  if (known === undefined) throw new Error("there is no event to start from");
  const event = JSON.parse(known.value) as Record<string, unknown> & { data: Record<string, unknown> };
  const publish = (change: (copy: typeof event) => object) => {
    const eventId = randomUUID();
    const value = JSON.stringify(change({ ...event, eventId }));
    return probe.publish({ ...known, value, headers: { ...known.headers, "event-id": eventId } });
  };
  const letters = async () => {
    const { body } = await system.api("/ops/dead-letters?source=saga-service-group", { as: "operator" });
    return (body as unknown as Page<DeadLetterView>).items;
  };
  const newer = await publish((copy) => ({ ...copy, data: { ...copy.data, colour: "green" } }));
  await taken(probe, "saga-service-group", newer);
  expect(await letters()).toEqual([]);
  const drifted = await publish(({ data: { orderId: _gone, ...data }, ...copy }) => ({ ...copy, data }));
  await taken(probe, "saga-service-group", drifted);
  await until("the letter is there", async () => (await letters()).length === 1);
  expect(await letters()).toMatchObject([{ topic, error: { code: "EVENT_INVALID" }, attempts: 1 }]);
});

test("after all of that the audit finds nothing", async () => {
  expect(await violationsOf(shared().system)).toEqual([]);
}, 90_000);
