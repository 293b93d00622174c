import { auditSystem } from "../support/audit.ts";
import { cancelled, pay, refusalOf, settled } from "../support/money.ts";
import { ended, place, placedOf } from "../support/shop.ts";
import { useSystem } from "../support/use-system.ts";

/** What one customer may use up, with all services running: stock with unpaid orders, attempts to pay, requests. */

const shared = useSystem("embedded", {
  UNPAID_ORDERS_MAX: "3",
  PAY_ATTEMPTS_MAX: "3",
  RATE_LIMIT_PER_SUBJECT: "20",
  RATE_LIMIT_BURST_SECONDS: "10",
});

const UNPAID = { status: 429, code: "TOO_MANY_UNPAID_ORDERS" };
const items = () => [{ productId: shared().system.demo.products.plenty, quantity: 1 }];

test("a customer holds stock with so many unpaid orders, and gets room by paying or cancelling one", async () => {
  const { system } = shared();
  const orders = [];
  for (let placed = 0; placed < 3; placed += 1)
    orders.push(placedOf(await place(system, items(), { key: `order-${placed}` })).orderId);
  for (const orderId of orders) expect(await ended(system, orderId)).toMatchObject({ status: "created" });
  const refused = await place(system, items(), { key: "one-too-many" });
  expect(refusalOf(refused)).toEqual(UNPAID);
  expect(Number(refused.headers["retry-after"])).toBeGreaterThanOrEqual(1);
  // What was accepted before is still answered.
  expect((await place(system, items(), { key: "order-0" })).headers["idempotent-replayed"]).toBe("true");

  await settled(system, orders[0] ?? "");
  await cancelled(system, orders[1] ?? "");
  for (const key of ["one-too-many", "another"]) {
    const { orderId } = placedOf(await place(system, items(), { key }));
    expect(await ended(system, orderId)).toMatchObject({ status: "created" });
  }
  expect(refusalOf(await place(system, items()))).toEqual(UNPAID);
});

test("ten orders at once are accepted or refused, and three of them get stock", async () => {
  const { system } = shared();
  const as = "otherCustomer";
  const answers = await Promise.all(Array.from({ length: 10 }, () => place(system, items(), { as })));
  const accepted = answers.filter(({ status }) => status === 202);
  for (const answer of answers) if (!accepted.includes(answer)) expect(refusalOf(answer)).toEqual(UNPAID);
  const ends = await Promise.all(accepted.map((answer) => ended(system, placedOf(answer).orderId, { as })));
  const told = ends.map(({ status, reason }) => `${status} ${reason?.code ?? ""}`.trim());
  expect(told.filter((one) => one === "created")).toHaveLength(3);
  expect(new Set(told)).toEqual(
    new Set(["created", ...(ends.length > 3 ? [`cancelled ${UNPAID.code}`] : [])]),
  );
});

test("an order is tried to be paid so often, and then not again", async () => {
  const { system } = shared();
  const [order] = await system.sql<{ id: string }>(
    "order",
    "select id from orders where status = 'created' and customer_id = $1 limit 1",
    [JSON.parse(atob(system.demo.tokens.customer.split(".")[1] ?? "")).sub],
  );
  const orderId = order?.id ?? "";
  for (let attempt = 0; attempt < 3; attempt += 1)
    expect(await settled(system, orderId, "sim_declined")).toMatchObject({ state: "CANCELLED" });
  for (let more = 0; more < 2; more += 1)
    expect(refusalOf(await pay(system, orderId))).toEqual({ status: 409, code: "PAY_ATTEMPTS_EXHAUSTED" });
});

test("a subject that asks without end is heard at its rate, and others are not concerned", async () => {
  const { system } = shared();
  const ask = () => system.api("/products?limit=1", { as: "service" });
  const answers = await Promise.all(Array.from({ length: 400 }, ask));
  const heard = answers.filter(({ status }) => status === 200).length;
  expect(heard).toBeGreaterThanOrEqual(200);
  expect(heard).toBeLessThan(400);
  const refused = answers.find(({ status }) => status === 429);
  expect(refused).toMatchObject({ body: { code: "RATE_LIMITED" } });
  expect(refused?.headers["ratelimit-policy"]).toBe('"subject";q=200;w=10');
  expect(await system.api("/products?limit=1", { as: "staff" })).toMatchObject({ status: 200 });
  const [row] = await system.sql<{ owed: number }>(
    "saga",
    "select extract(epoch from settled_at - now())::float8 as owed from rate_limits where key like 'subject:%e3'",
  );
  expect(row?.owed).toBeGreaterThan(0);
});

test("after all of that the audit finds nothing wrong", async () => {
  await expect(auditSystem(shared().system.sql)).resolves.toEqual([]);
}, 60_000);
