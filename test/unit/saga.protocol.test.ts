import { createOrderSaga } from "../../services/saga/create-order.saga.ts";
import { type Drive, drive, LEASE_MS, NOW, ORDER_ID, SAGA_ID } from "./saga.drive.ts";

/** CREATE_ORDER step by step: what each input makes of the saga, and what is owed then. */

const STOCK_TIMEOUT_MS = 30_000;
const customerId = "0198a000-0000-7000-8000-0000000000cc";
const productId = "0198a000-0000-7000-8000-0000000000dd";
const items = [{ productId, quantity: 2 }];
const quote = {
  items: [{ productId, quantity: 2, sku: "SKU", priceMinor: 450 }],
  totalMinor: 900,
  currency: "EUR",
};
const shortage = { orderId: ORDER_ID, productId, reason: "OUT_OF_STOCK", available: 1, requested: 2 };

const begin = () => drive(createOrderSaga(STOCK_TIMEOUT_MS), { orderId: ORDER_ID, customerId, items });

/** A saga that has come to this step, and awaits its answer. */
function at(step: string): Drive {
  const saga = begin();
  const answers: readonly (() => unknown)[] = [
    () => saga.ok(quote),
    () => saga.ok({ orderId: ORDER_ID, totalMinor: 900 }),
    () => saga.ok({ customerId }),
    () => saga.event("STOCK_RESERVED", { orderId: ORDER_ID, items }),
  ];
  for (const answer of answers) {
    if (saga.step() === step) break;
    answer();
  }
  return saga;
}

const actions = (saga: Drive) => saga.calls().map(({ action }) => action);
const events = (saga: Drive) => saga.published().map(({ type }) => type);

test("it begins by asking for the prices", () => {
  const saga = begin();
  expect(saga.instance()).toMatchObject({ state: "RUNNING", step: "quoteItems", attempt: 1, version: 1 });
  expect(saga.instance().wakeInMs).toBe(LEASE_MS);
  expect(saga.outcome()).toMatchObject({ changed: true, durable: true });
  expect(saga.calls()).toEqual([
    {
      kind: "call",
      token: "forward:quoteItems:1",
      action: "product.quote",
      params: { items },
      timeoutMs: 5_000,
    },
  ]);
});

test("all goes well: each step asks for the next, and the order is confirmed", () => {
  const saga = begin();
  saga.ok(quote);
  expect(saga.owed()).toMatchObject({
    action: "order.draft",
    params: { orderId: ORDER_ID, sagaId: SAGA_ID, customerId, ...quote },
  });
  saga.ok({ orderId: ORDER_ID, totalMinor: 900 });
  expect(saga.owed()).toMatchObject({ action: "customer.validate", params: { customerId } });
  saga.ok({ customerId });
  expect(saga.published()).toEqual([
    { kind: "publish", type: "RESERVE_STOCK", data: { orderId: ORDER_ID, sagaId: SAGA_ID, items } },
  ]);
  expect(saga.instance()).toMatchObject({ step: "reserveStock", wakeInMs: STOCK_TIMEOUT_MS, published: 1 });
  saga.event("STOCK_RESERVED", { orderId: ORDER_ID, items });
  expect(saga.owed()).toMatchObject({ action: "order.confirm", params: { orderId: ORDER_ID } });
  expect(saga.instance().wakeInMs).toBe(LEASE_MS);
  saga.ok({ orderId: ORDER_ID, status: "created" });
  expect(saga.instance()).toMatchObject({ state: "COMPLETED", step: null, attempt: 0, wakeInMs: null });
  expect(saga.protocol.hasEnded(saga.instance())).toBe(true);
  expect(saga.instance().progress.steps).toEqual(
    ["quoteItems", "draftOrder", "validateCustomer", "reserveStock", "confirmOrder"].map((name) => ({
      name,
      status: "SUCCEEDED",
      attempts: 1,
      startedAtMs: NOW.getTime(),
      endedAtMs: NOW.getTime(),
    })),
  );
  expect(actions(saga)).toEqual(["product.quote", "order.draft", "customer.validate", "order.confirm"]);
});

test("what a later step reads of an answer is recorded, and nothing else", () => {
  const saga = begin();
  saga.ok(quote);
  saga.ok({ orderId: ORDER_ID, totalMinor: 900 });
  saga.ok({ customerId });
  expect(saga.instance().progress.results).toEqual({ quoteItems: quote });
});

test("repeatable steps share one durable point with the command that follows them", () => {
  const saga = begin();
  expect(saga.ok(quote).durable).toBe(false);
  expect(saga.ok({}).durable).toBe(false);
  // What is published must be committed with the state that publishes it.
  expect(saga.ok({}).durable).toBe(true);
  expect(saga.event("STOCK_RESERVED").durable).toBe(true);
  expect(saga.ok({}).durable).toBe(true);
});

test("prices are refused: there is nothing to undo", () => {
  const saga = at("quoteItems");
  saga.refuse("PRODUCT_NOT_FOUND");
  expect(saga.instance()).toMatchObject({ state: "COMPENSATED", step: null, wakeInMs: null });
  expect(saga.instance().progress.failure).toEqual({
    code: "PRODUCT_NOT_FOUND",
    message: "it said PRODUCT_NOT_FOUND",
    step: "quoteItems",
  });
  expect(saga.instance().progress.steps).toMatchObject([
    { status: "FAILED", error: { code: "PRODUCT_NOT_FOUND" }, endedAtMs: NOW.getTime() },
  ]);
  expect(actions(saga)).toEqual(["product.quote"]);
  expect(events(saga)).toEqual([]);
});

test("a cancellation meets the row at the prices: a draft may have come of it all the same, so it is undone", () => {
  const saga = at("quoteItems");
  saga.give({ kind: "cancel", code: "CANCELLED_BY_CUSTOMER", message: "" });
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "draftOrder" });
  expect(saga.owed()).toMatchObject({
    action: "order.cancel",
    params: { orderId: ORDER_ID, reason: { code: "CANCELLED_BY_CUSTOMER" } },
  });
  saga.ok();
  expect(saga.state()).toBe("COMPENSATED");
  expect(events(saga)).toEqual([]);
});

test("the prices stay unanswered to the last try: another node may have got them, and gone on", () => {
  const saga = at("quoteItems");
  for (let tries = 0; tries < 6; tries += 1) saga.miss();
  expect(saga.owed()).toMatchObject({ action: "order.cancel", params: { reason: { code: "TIMEOUT" } } });
});

test("the draft is refused: a step that decided against itself had no effect, nothing is undone", () => {
  const saga = at("draftOrder");
  saga.refuse("ORDER_STATE_CONFLICT");
  expect(saga.state()).toBe("COMPENSATED");
  expect(actions(saga)).toEqual(["product.quote", "order.draft"]);
});

test("the draft stays unanswered to the last try: its outcome is unknown, so it is undone", () => {
  const saga = at("draftOrder");
  for (let tries = 0; tries < 6; tries += 1) saga.miss();
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "draftOrder", attempt: 1 });
  expect(saga.owed()).toMatchObject({
    token: "backward:draftOrder:1",
    action: "order.cancel",
    params: {
      orderId: ORDER_ID,
      reason: { code: "TIMEOUT", message: "draftOrder: it said REQUEST_TIMEOUT" },
      actor: "saga",
    },
  });
  saga.ok();
  expect(saga.state()).toBe("COMPENSATED");
  expect(saga.status("draftOrder")).toBe("COMPENSATED");
  expect(saga.status("quoteItems")).toBe("SUCCEEDED");
});

test("the customer is refused: the draft is cancelled with that reason", () => {
  const saga = at("validateCustomer");
  saga.refuse("CUSTOMER_INACTIVE");
  expect(saga.outcome().durable).toBe(true);
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "draftOrder", wakeInMs: LEASE_MS });
  expect(saga.owed()).toMatchObject({
    action: "order.cancel",
    params: { reason: { code: "CUSTOMER_INACTIVE", message: "it said CUSTOMER_INACTIVE" } },
  });
  saga.ok();
  expect(saga.instance().progress.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
    "quoteItems SUCCEEDED",
    "draftOrder COMPENSATED",
    "validateCustomer FAILED",
  ]);
  expect(events(saga)).toEqual([]);
});

test("stock falls short: nothing is released, the draft is cancelled with the product's figures", () => {
  const saga = at("reserveStock");
  saga.event("STOCK_RESERVATION_FAILED", shortage);
  expect(saga.status("reserveStock")).toBe("FAILED");
  expect(saga.owed()).toMatchObject({
    action: "order.cancel",
    params: {
      reason: { code: "OUT_OF_STOCK", message: `Product ${productId}: 2 requested, 1 available.` },
    },
  });
  saga.ok();
  expect(saga.state()).toBe("COMPENSATED");
  expect(events(saga)).toEqual(["RESERVE_STOCK"]);
});

test("stock does not answer in time: it may be reserved, so it is released first and then the draft cancelled", () => {
  const saga = at("reserveStock");
  saga.timer();
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "reserveStock", wakeInMs: 10_000 });
  expect(saga.published().at(-1)).toEqual({
    kind: "publish",
    type: "RELEASE_STOCK",
    data: { orderId: ORDER_ID, sagaId: SAGA_ID, items, reason: "TIMEOUT" },
  });
  expect(saga.protocol.owed(saga.instance())).toEqual([]);
  saga.event("STOCK_RELEASED");
  expect(saga.owed()).toMatchObject({ action: "order.cancel", params: { reason: { code: "TIMEOUT" } } });
  saga.ok();
  expect(saga.instance()).toMatchObject({ state: "COMPENSATED", published: 2 });
});

test("the confirmation is refused: stock is released, then the draft cancelled", () => {
  const saga = at("confirmOrder");
  saga.refuse("ORDER_STATE_CONFLICT");
  expect(events(saga)).toEqual(["RESERVE_STOCK", "RELEASE_STOCK"]);
  expect(saga.step()).toBe("reserveStock");
  saga.event("STOCK_RELEASED");
  expect(saga.step()).toBe("draftOrder");
  saga.ok();
  expect(saga.instance().progress.steps.map(({ status }) => status)).toEqual([
    "SUCCEEDED",
    "COMPENSATED",
    "SUCCEEDED",
    "COMPENSATED",
    "FAILED",
  ]);
  expect(saga.instance().progress.failure).toMatchObject({
    code: "ORDER_STATE_CONFLICT",
    step: "confirmOrder",
  });
});

test("a saga of a type that nobody defined is a programmer's error", () => {
  const { protocol, instance } = begin();
  expect(() => protocol.advance({ ...instance(), type: "OTHER" }, { kind: "timer" }, NOW)).toThrow(
    "no saga definition for OTHER",
  );
});
