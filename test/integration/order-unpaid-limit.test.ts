import { randomUUID } from "node:crypto";
import { v7 as uuidv7 } from "uuid";
import { type CommandContext, carryOut } from "../../services/order/order.commands.ts";
import { draftOrders } from "../../services/order/order.drafts.ts";
import { unpaidOrders, unpaidSince } from "../../services/order/unpaid-orders.store.ts";
import { createUnpaidGuard } from "../../services/saga/unpaid-orders.ts";
import { run, useServer } from "../support/service-database.ts";
import { draftParams, openCommands } from "./order-commands.world.ts";

/** How many unpaid orders a customer may hold stock with, however many are placed at once. */

const server = useServer();
const max = 5;
const ttlSeconds = 900;

async function openOrders() {
  const world = await openCommands(server);
  const context: CommandContext = { ...world.context, unpaid: { max, ttlSeconds } };
  const draft = async (customerId: string, ...orderIds: readonly string[]) => {
    const items = orderIds.map((orderId) => ({
      params: { ...draftParams(orderId), customerId },
      correlationId: "test",
    }));
    const results = await draftOrders(context, items);
    return results.map((result) =>
      result instanceof Error ? (result as { type?: string }).type : "drafted",
    );
  };
  const unpaid = (customerId: string) =>
    unpaidOrders(world.database, customerId, unpaidSince(ttlSeconds), 100);
  return { ...world, context, draft, unpaid };
}

const ids = (count: number) => Array.from({ length: count }, () => uuidv7());
const REFUSED = "TOO_MANY_UNPAID_ORDERS";

test("within one batch the first ones are taken, and each customer has a limit of their own", async () => {
  const { draft, unpaid, database } = await openOrders();
  const [customer, other] = [randomUUID(), randomUUID()];
  expect(await draft(customer, ...ids(7))).toEqual([...Array(5).fill("drafted"), REFUSED, REFUSED]);
  expect(await draft(other, ...ids(1))).toEqual(["drafted"]);
  expect([await unpaid(customer), await unpaid(other)]).toEqual([5, 1]);
  // Nothing is left of the refused: no line, no history, no event.
  const { rows } = await database.pool.query(
    `select (select count(*)::int from order_items) as items, (select count(*)::int from order_status_history) as history,
            (select count(*)::int from outbox_events) as events`,
  );
  expect(rows).toEqual([{ items: 6, history: 6, events: 6 }]);
});

test("of fifty at once, in transactions of their own, no more are taken than there may be", async () => {
  const { draft, unpaid } = await openOrders();
  const customer = randomUUID();
  const results = await Promise.all(ids(50).map((orderId) => draft(customer, orderId)));
  expect(results.flat().filter((result) => result === "drafted")).toHaveLength(max);
  expect(results.flat().filter((result) => result === REFUSED)).toHaveLength(45);
  expect(await unpaid(customer)).toBe(max);
});

test("a draft that is repeated takes no second place, and one that was cancelled before is told as that", async () => {
  const { draft, context } = await openOrders();
  const customer = randomUUID();
  const orders = ids(5);
  await draft(customer, ...orders);
  expect(await draft(customer, ...orders)).toEqual(Array(5).fill("drafted"));
  const [buried = ""] = ids(1);
  const { cancelOrders } = await import("../../services/order/order.commands.ts");
  const reason = { code: "OUT_OF_STOCK", message: "" };
  await cancelOrders(context, [{ params: { orderId: buried, reason }, correlationId: "test" }]);
  expect(await draft(customer, buried, ...ids(1))).toEqual(["ORDER_STATE_CONFLICT", REFUSED]);
});

test("what is paid, cancelled or past its reservation makes room", async () => {
  const { draft, context, database } = await openOrders();
  const customer = randomUUID();
  const orders = ids(5);
  await draft(customer, ...orders);
  const [first = "", second = ""] = orders;
  const cancel = { params: { orderId: first, reason: { code: "X", message: "" } }, correlationId: "test" };
  await carryOut(context, "cancel", [cancel]);
  await database.pool.query("update orders set status = 'paid' where id = $1", [second]);
  expect(await draft(customer, ...ids(3))).toEqual(["drafted", "drafted", REFUSED]);
  // Its id tells that it is from yesterday: whatever it is now, it holds no stock.
  const yesterday = unpaidSince(86_400);
  await database.pool.query("update orders set id = $1 where id = $2", [yesterday, orders[2]]);
  expect(await draft(customer, ...ids(2))).toEqual(["drafted", REFUSED]);
});

test("before an order is accepted it is asked only for those who may be at their limit", async () => {
  const { url, open } = await server.fresh("saga");
  const customer = randomUUID();
  let unpaid = 0;
  let asked = 0;
  const guard = createUnpaidGuard({
    database: open(),
    max,
    ttlSeconds,
    ask: async () => {
      asked += 1;
      return unpaid;
    },
  });
  const claim = (key: string) => ({ subject: customer, key, operation: "POST /orders", requestHash: "hash" });
  for (let placed = 0; placed < max; placed += 1) expect(guard(customer, claim("new"))).toBeUndefined();
  expect(asked).toBe(0);
  unpaid = 3;
  await guard(customer, claim("new"));
  // Two more may follow before it is worth asking again.
  expect(guard(customer, claim("new"))).toBeUndefined();
  expect(asked).toBe(1);
  unpaid = max;
  await expect(guard(customer, claim("new"))).rejects.toMatchObject({ code: 429, type: REFUSED });
  await expect(guard(customer, claim("new"))).rejects.toMatchObject({ data: { retryAfterSeconds: 10 } });
  expect(guard(randomUUID(), claim("new"))).toBeUndefined();
  await run(
    url,
    `insert into idempotency_records (subject, key, operation, request_hash, status)
     values ('${customer}', 'accepted', 'POST /orders', 'hash', 'COMPLETED')`,
  );
  await expect(guard(customer, claim("accepted"))).resolves.toBeUndefined();
});
