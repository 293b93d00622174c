import { randomUUID } from "node:crypto";
import type { Database } from "../../lib/database.ts";
import { eraseCustomer } from "../../scripts/privacy/erase.ts";
import { run, useServer } from "../support/service-database.ts";

/** Nothing of a person is left when they are erased; their orders stay, and nobody else's data changes. */

const server = useServer();
const SECRET = "planted";

async function open() {
  const names = ["customer", "order", "saga"] as const;
  const fresh = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await server.fresh(name)] as const)),
  );
  const urlOf = (name: string) => fresh[name]?.url ?? "";
  const pools = new Map<string, Database>();
  const databases = (name: string) => {
    const pool = pools.get(name) ?? fresh[name]?.open();
    if (!pool) throw new Error(`no database ${name}`);
    pools.set(name, pool);
    return pool;
  };
  const traces = async () => {
    const counts = await Promise.all([
      run(urlOf("customer"), "select 1 from customers c where c::text like '%planted%'"),
      run(urlOf("customer"), "select 1 from idempotency_records c where c::text like '%planted%'"),
      run(urlOf("order"), "select 1 from orders c where c::text like '%planted%'"),
      run(urlOf("order"), "select 1 from order_status_history c where c::text like '%planted%'"),
      run(urlOf("saga"), "select 1 from saga_instances c where c::text like '%planted%'"),
    ]);
    return counts.map((rows) => rows.length);
  };
  return { urlOf, databases, traces };
}
type World = Awaited<ReturnType<typeof open>>;

async function addCustomer({ urlOf }: World): Promise<string> {
  const id = randomUUID();
  await run(
    urlOf("customer"),
    "insert into customers (id, name, email, email_index, status) values ($1, $2, $3, $3, 'active')",
    [id, SECRET, SECRET + id],
  );
  await run(
    urlOf("customer"),
    `insert into idempotency_records (subject, key, operation, request_hash, status, response_data)
     values ('staff', $1, 'POST /customers', 'h', 'COMPLETED', $2)`,
    [id, JSON.stringify({ customerId: id, name: SECRET })],
  );
  return id;
}

async function addOrder({ urlOf }: World, customerId: string, status: string): Promise<string> {
  const orderId = randomUUID();
  const reason = { code: "CANCELLED_BY_CUSTOMER", message: SECRET };
  await run(
    urlOf("order"),
    `insert into orders (id, customer_id, saga_id, status, total_minor, currency, shipping_address, reason_code,
       reason_message) values ($1, $2, $1, $3, 1, 'EUR', $4, $5, $6)`,
    [orderId, customerId, status, JSON.stringify(SECRET), reason.code, reason.message],
  );
  await run(
    urlOf("order"),
    `insert into order_status_history (order_id, version, status, reason_code, reason)
     values ($1, 1, 'draft', null, null), ($1, 2, $2, $3, $4)`,
    [orderId, status, reason.code, reason.message],
  );
  const input = { orderId, items: [1], shippingAddress: SECRET };
  const progress = { failure: { ...reason, step: "s" }, steps: [{ name: "s", error: reason }], results: {} };
  await run(
    urlOf("saga"),
    `insert into saga_instances (id, saga_type, state, attempt, version, published, business_key, owner_id,
       correlation_id, input, progress) values ($1, 'CREATE_ORDER', 'COMPLETED', 1, 1, 0, $2, $3, 'c', $4, $5)`,
    [randomUUID(), orderId, customerId, JSON.stringify(input), JSON.stringify(progress)],
  );
  return orderId;
}

test("what is stored of a person is overwritten, their orders stay, and so does everybody else", async () => {
  const world = await open();
  const [person, other] = [await addCustomer(world), await addCustomer(world)];
  for (const status of ["cancelled", "completed", "cancelled"]) await addOrder(world, person, status);
  const orderId = await addOrder(world, other, "completed");
  expect(await world.traces()).toEqual([2, 2, 4, 4, 4]);

  expect(await eraseCustomer(world.databases, person)).toEqual({ customers: 1, orders: 3 });
  expect(await world.traces()).toEqual([1, 1, 1, 1, 1]);
  const [left] = await run(world.urlOf("order"), "select id from orders where shipping_address is not null");
  expect(left).toEqual({ id: orderId });
  const kept = await run(world.urlOf("order"), "select reason_code from orders where customer_id = $1", [
    person,
  ]);
  expect(kept).toEqual(Array(3).fill({ reason_code: "CANCELLED_BY_CUSTOMER" }));
  const [customer] = await run(world.urlOf("customer"), "select * from customers where id = $1", [person]);
  expect(customer).toMatchObject({ name: "", email: "", email_index: null, status: "inactive" });
  expect(await eraseCustomer(world.databases, person)).toEqual({ customers: 1, orders: 3 });
});

test.each(["created", "paid", "shipping", "cancelling"])(
  "while an order of theirs is %s, nothing is erased",
  async (status) => {
    const world = await open();
    const person = await addCustomer(world);
    const orderId = await addOrder(world, person, status);
    const before = await world.traces();
    await expect(eraseCustomer(world.databases, person)).rejects.toThrow(orderId);
    expect(await world.traces()).toEqual(before);
  },
);
