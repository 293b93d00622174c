import { until } from "../support/until.ts";
import {
  createNode,
  deliver,
  insertSagas,
  LEASE_MS,
  type Node,
  newStore,
  STOCK_TIMEOUT_MS,
  stockReleased,
  stockReserved,
} from "./engine.world.ts";

/** The engine on the real CREATE_ORDER protocol, with one or two nodes over one store. */

const called = ({ open }: Node, action: string) =>
  until(`a call of ${action}`, () => open.find(({ effect }) => effect.action === action) !== undefined);

/** Answers calls until the saga waits for its stock. */
async function toStock(node: Node): Promise<void> {
  for (const action of ["product.quote", "order.draft", "customer.validate"]) {
    await called(node, action);
    node.next().answer();
  }
  await until("stock is asked for", () => node.engine.inFlight() === 0);
}

test("a saga runs to its end, and is persisted only where it must not be forgotten", async () => {
  const store = newStore();
  const node = createNode(store);
  node.engine.adopt(insertSagas(store, "s"));
  await toStock(node);
  expect(store.row("s")).toMatchObject({ version: 2, step: "reserveStock" });
  expect(store.events).toMatchObject([
    { type: "RESERVE_STOCK", aggregateId: "s", aggregateVersion: 1, data: { orderId: "order s" } },
  ]);
  await deliver(store, node.engine, [stockReserved("s")]);
  await called(node, "order.confirm");
  node.next().answer();
  await until("its end", () => node.ended.length === 1);
  expect(store.row("s")).toMatchObject({ version: 4, state: "COMPLETED", wakeInMs: null });
  expect(store.counts).toEqual({ saves: 3, loads: 0, saved: 3 });
  expect(node.failures).toEqual([]);
});

test("sagas that move at the same time share a save", async () => {
  const store = newStore();
  const ids = Array.from({ length: 50 }, (_, index) => `s${index}`);
  const node = createNode(store, { call: async () => ({ ok: true, result: { items: [] } }) });
  node.engine.adopt(insertSagas(store, ...ids));
  await until("all wait for stock", () => store.events.length === 50);
  expect(store.counts.saves).toBeLessThanOrEqual(3);
});

test("nothing is done before it is committed: a transaction that rolls back leaves no trace", async () => {
  const store = newStore();
  const node = createNode(store);
  node.engine.adopt(insertSagas(store, "s"));
  await toStock(node);
  const failing = store.transaction(async (tx) => {
    await node.engine.receive(tx, [stockReserved("s")]);
    throw new RangeError("the consumer's own part failed");
  });
  await expect(failing).rejects.toMatchObject({ message: "the consumer's own part failed" });
  expect(node.open).toEqual([]);
  expect(store.row("s").step).toBe("reserveStock");
  // Delivered again it has its effect.
  await deliver(store, node.engine, [stockReserved("s")]);
  await called(node, "order.confirm");
  expect(store.row("s").step).toBe("confirmOrder");
});

test("the same event twice in a batch and twice in a row moves its saga once", async () => {
  const store = newStore();
  const node = createNode(store);
  node.engine.adopt(insertSagas(store, "s"));
  await toStock(node);
  await deliver(store, node.engine, [stockReserved("s", "e"), stockReserved("s", "e")]);
  await deliver(store, node.engine, [stockReserved("s", "e"), stockReserved("nobody")]);
  expect(node.open).toHaveLength(1);
  expect(store.row("s")).toMatchObject({ version: 3, step: "confirmOrder" });
});

test("a node whose copy is stale finds its input late after loading the saga anew", async () => {
  const store = newStore();
  const [a, b] = [createNode(store), createNode(store)];
  a.engine.adopt(insertSagas(store, "s"));
  store.pass(LEASE_MS);
  await b.engine.recover();
  // Both ask for the prices; one of them gets the saga to its durable point first.
  await called(b, "product.quote");
  await toStock(b);
  await toStock(a);
  expect(store.row("s")).toMatchObject({ version: 2, step: "reserveStock", published: 1 });
  expect(store.events).toHaveLength(1);
  expect(store.counts.loads).toBe(1);
});

test("an event that meets a stale copy is applied to the saga as it stands", async () => {
  const store = newStore();
  const [a, b] = [createNode(store), createNode(store)];
  a.engine.adopt(insertSagas(store, "s"));
  store.pass(LEASE_MS);
  await b.engine.recover();
  await toStock(b);
  // Node a still believes that it is at the prices.
  await deliver(store, a.engine, [stockReserved("s")]);
  await called(a, "order.confirm");
  expect(store.row("s")).toMatchObject({ step: "confirmOrder", progress: { results: {} } });
  expect(store.row("s").progress.early).toBeUndefined();
});

test("an event that means nothing to a stale copy is applied to the saga as it stands", async () => {
  const store = newStore();
  const [one, other] = [createNode(store), createNode(store)];
  one.engine.adopt(insertSagas(store, "s"));
  await toStock(one);
  const cancel = { kind: "cancel", code: "CANCELLED_BY_CUSTOMER", message: "" } as const;
  await expect(other.engine.offer("s", cancel, () => undefined)).resolves.toBe(true);
  // The copy still waits for its stock, and is not told of any that comes back.
  await deliver(store, one.engine, [stockReleased("s")]);
  expect(store.row("s")).toMatchObject({ state: "COMPENSATING", step: "draftOrder" });
  await called(one, "order.cancel");
  expect(one.failures).toEqual([]);
});

test("a process that dies between its commit and its calls: another node performs them when the lease ends", async () => {
  const store = newStore();
  insertSagas(store, "s");
  const node = createNode(store);
  await expect(node.engine.recover()).resolves.toBe(false);
  expect(node.open).toEqual([]);
  store.pass(LEASE_MS);
  await node.engine.recover();
  await called(node, "product.quote");
  await toStock(node);
  expect(store.row("s").step).toBe("reserveStock");
});

test("a node that hangs in a call loses the saga when its lease ends, and its reply is late", async () => {
  const store = newStore();
  const [a, b] = [createNode(store), createNode(store)];
  a.engine.adopt(insertSagas(store, "s"));
  await toStock(a);
  await deliver(store, a.engine, [stockReserved("s")]);
  await called(a, "order.confirm");
  const hung = a.next();
  store.pass(LEASE_MS);
  await b.engine.recover();
  await called(b, "order.confirm");
  expect(b.open[0]?.effect).toEqual(hung.effect);
  b.next().answer();
  await until("its end", () => b.ended.length === 1);
  hung.answer({
    ok: false,
    error: { type: "ORDER_STATE_CONFLICT", message: "", status: 409, retryable: false, data: {} },
  });
  await until("the late reply", () => a.engine.inFlight() === 0);
  expect(store.row("s")).toMatchObject({ state: "COMPLETED", version: 4 });
  expect(a.ended).toEqual([]);
});

test("an unanswered event is given up when its deadline passes, on any node", async () => {
  const store = newStore();
  const [a, b] = [createNode(store), createNode(store)];
  a.engine.adopt(insertSagas(store, "s"));
  await toStock(a);
  store.pass(STOCK_TIMEOUT_MS - 1);
  await b.engine.recover();
  expect(store.row("s").step).toBe("reserveStock");
  store.pass(1);
  await b.engine.recover();
  await until("the release", () => store.events.length === 2);
  expect(store.events[1]).toMatchObject({ type: "RELEASE_STOCK", aggregateVersion: 2 });
  expect(store.row("s")).toMatchObject({ state: "COMPENSATING", step: "reserveStock" });
});

test("a late success after the end is undone once more, and its end is told once", async () => {
  const store = newStore();
  const node = createNode(store);
  node.engine.adopt(insertSagas(store, "s"));
  await toStock(node);
  store.pass(STOCK_TIMEOUT_MS);
  await node.engine.recover();
  await until("the release", () => store.events.length === 2);
  const released = { kind: "event" as const, eventId: "released", type: "STOCK_RELEASED", data: {} };
  await deliver(store, node.engine, [{ id: "s", input: released }]);
  await called(node, "order.cancel");
  node.next().answer();
  await until("its end", () => node.ended.length === 1);
  await deliver(store, node.engine, [stockReserved("s")]);
  expect(store.events.map(({ type }) => type)).toEqual(["RESERVE_STOCK", "RELEASE_STOCK", "RELEASE_STOCK"]);
  expect(store.row("s")).toMatchObject({ state: "COMPENSATED", published: 3 });
  expect(node.ended).toEqual(["s"]);
});

test("recovery leaves alone what this node has in hand, and says when there may be more", async () => {
  const store = newStore();
  const node = createNode(store);
  node.engine.adopt(insertSagas(store, "mine"));
  await called(node, "product.quote");
  node.next().answer();
  // In memory it is a step further than in its row.
  await called(node, "order.draft");
  insertSagas(store, ...Array.from({ length: 100 }, (_, index) => `other${index}`));
  store.pass(LEASE_MS);
  await expect(node.engine.recover()).resolves.toBe(true);
  await expect(node.engine.recover()).resolves.toBe(false);
  await until("all are called", () => node.open.length === 101);
  const mine = node.open.filter(({ saga }) => saga === "mine");
  expect(mine.map(({ effect }) => effect.action)).toEqual(["order.draft"]);
});

test("a database that is away costs an input, never the saga", async () => {
  const store = newStore();
  const node = createNode(store);
  node.engine.adopt(insertSagas(store, "s"));
  for (const action of ["product.quote", "order.draft"]) {
    await called(node, action);
    node.next().answer();
  }
  await called(node, "customer.validate");
  store.failNext(new Error("away"));
  node.next().answer();
  await until("the failure", () => node.failures.length === 1);
  expect(node.failures).toMatchObject([{ problem: "call customer.validate", error: { message: "away" } }]);
  expect(store.row("s")).toMatchObject({ version: 1, step: "quoteItems" });
  expect(store.events).toEqual([]);
  store.pass(LEASE_MS);
  await node.engine.recover();
  await toStock(node);
  expect(store.events).toHaveLength(1);
});
