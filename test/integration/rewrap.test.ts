import { randomBytes, randomUUID } from "node:crypto";
import { type Database, withTransaction } from "../../lib/database.ts";
import { parseKeyRing } from "../../lib/personal-data/key-ring.ts";
import {
  createPersonalData,
  emailIndexOf,
  type PersonalData,
} from "../../lib/personal-data/personal-data.ts";
import { statement } from "../../lib/statement.ts";
import { reindexEmails } from "../../scripts/privacy/email-index.ts";
import { HOLDERS } from "../../scripts/privacy/holders.ts";
import { type Rewrapped, rewrap } from "../../scripts/privacy/rewrap.ts";
import { run, useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";

/** A key goes out of use while the system runs: everything comes under the new one, in steps, and stays readable. */

const server = useServer();
const key = () => randomBytes(32).toString("base64url");
const [oldKey, newKey, index] = [key(), key(), key()];
const ring = (primary: string, keys: object) =>
  parseKeyRing(JSON.stringify({ primary, keys, index }), "a test's ring");
const before = createPersonalData(ring("old_1", { old_1: oldKey }));
const between = createPersonalData(ring("old-1", { "old-1": newKey, old_1: oldKey }));
const after = createPersonalData(ring("old-1", { "old-1": newKey }));
const PRIMARY = "old-1";
const STEP = 4;
const address = { name: "Ada", line1: "12 High Street", city: "Bath", postalCode: "1", country: "GB" };

interface World {
  readonly urls: Readonly<Record<"customer" | "order" | "saga", string>>;
  readonly databases: Readonly<Record<string, Database>>;
  all(options?: { onStep?: (progress: Rewrapped) => void | Promise<void> }): Promise<Rewrapped[]>;
}

async function open(): Promise<World> {
  const [customer, order, saga] = await Promise.all([
    server.fresh("customer"),
    server.fresh("order"),
    server.fresh("saga"),
  ]);
  const databases: Record<string, Database> = {
    customer: customer.open(),
    order: order.open(),
    saga: saga.open(),
  };
  return {
    urls: { customer: customer.url, order: order.url, saga: saga.url },
    databases,
    async all(options = {}) {
      const done: Rewrapped[] = [];
      for (const holder of HOLDERS) {
        const database = databases[holder.database];
        if (!database) throw new Error(`no database ${holder.database}`);
        done.push(
          await rewrap(holder, {
            database,
            personalData: between,
            primary: PRIMARY,
            stepSize: STEP,
            ...options,
          }),
        );
      }
      return done;
    },
  };
}

async function addCustomer(
  { urls }: World,
  personalData: PersonalData | undefined,
  email: string,
): Promise<string> {
  const rowId = randomUUID();
  const held = (column: "name" | "email", text: string) =>
    personalData?.encrypt({ column: `customers.${column}`, rowId }, text) ?? text;
  await run(urls.customer, "insert into customers (id, name, email, status) values ($1, $2, $3, 'active')", [
    rowId,
    held("name", "Ada"),
    held("email", email),
  ]);
  return rowId;
}

/** An order with its saga; without encryption both hold the address as it is, or none. */
async function addOrder(
  { urls }: World,
  personalData: PersonalData | undefined,
  to: object | null = address,
) {
  const [orderId, sagaId, customerId] = [randomUUID(), randomUUID(), randomUUID()];
  const place = { column: "orders.shipping_address", rowId: orderId } as const;
  const stored = to && (personalData?.encrypt(place, JSON.stringify(to)) ?? to);
  await run(
    urls.order,
    `insert into orders (id, customer_id, saga_id, status, total_minor, currency, shipping_address)
     values ($1, $2, $3, 'created', 1, 'EUR', $4)`,
    [orderId, customerId, sagaId, stored && JSON.stringify(stored)],
  );
  await run(
    urls.saga,
    `insert into saga_instances (id, saga_type, state, attempt, version, published, business_key, owner_id,
       correlation_id, input, progress) values ($1, 'CREATE_ORDER', 'COMPLETED', 1, 1, 0, $2, $3, 'c', $4, '{}')`,
    [
      sagaId,
      orderId,
      customerId,
      JSON.stringify({ orderId, items: [], ...(stored && { shippingAddress: stored }) }),
    ],
  );
  return orderId;
}

/** The address of an order as its row and its saga hold it, read with the new key alone. */
async function addressesOf({ urls }: World, rowId: string) {
  const [order] = await run<{ held: string }>(
    urls.order,
    "select shipping_address #>> '{}' as held from orders where id = $1",
    [rowId],
  );
  const [saga] = await run<{ held: string }>(
    urls.saga,
    "select input ->> 'shippingAddress' as held from saga_instances where business_key = $1",
    [rowId],
  );
  return [order, saga].map((row) =>
    JSON.parse(after.decrypt({ column: "orders.shipping_address", rowId }, row?.held ?? "")),
  );
}

test("everything comes under the new key, encrypted or not before, and the second run has nothing to do", async () => {
  const world = await open();
  const people = [];
  for (const [number, personalData] of [before, before, undefined, between, before, undefined].entries()) {
    people.push({
      id: await addCustomer(world, personalData, `P${number}@example.org`),
      email: `P${number}@example.org`,
    });
  }
  const erased = await addCustomer(world, undefined, "");
  await run(world.urls.customer, "update customers set name = '' where id = $1", [erased]);
  const orders = [];
  for (const personalData of [
    before,
    undefined,
    between,
    before,
    before,
    before,
    before,
    before,
    undefined,
  ]) {
    orders.push(await addOrder(world, personalData));
  }
  await addOrder(world, undefined, null);
  await run(
    world.urls.customer,
    `insert into idempotency_records (subject, key, operation, request_hash, status, response_data)
     values ('staff', 'a', 'POST /customers', 'h', 'COMPLETED', $1), ('staff', 'b', 'other', 'h', 'COMPLETED', '{"x":1}')`,
    [
      JSON.stringify({
        customerId: "c",
        name: before.encrypt({ column: "customers.name", rowId: "c" }, "Ada"),
        email: "",
      }),
    ],
  );

  const done = await world.all();
  expect(done).toMatchObject([
    { what: "customers.name", looked: 7, rewrapped: 5 },
    { what: "customers.email", looked: 7, rewrapped: 5 },
    { what: "answers about customers", looked: 2, rewrapped: 1 },
    { what: "orders.shipping_address", looked: 10, rewrapped: 8 },
    { what: "addresses in sagas", looked: 10, rewrapped: 8 },
  ]);
  expect(done.every(({ missed, unreadable }) => missed === 0 && unreadable.length === 0)).toBe(true);

  const { customer } = world.databases;
  if (!customer) throw new Error("no database");
  expect(await reindexEmails(customer, between, STEP)).toMatchObject({ rewrapped: 6, unreadable: [] });
  for (const { id: rowId, email } of people) {
    const [row] = await run<{ name: string; email: string; email_index: string }>(
      world.urls.customer,
      "select name, email, email_index from customers where id = $1",
      [rowId],
    );
    expect(after.decrypt({ column: "customers.name", rowId }, row?.name ?? "")).toBe("Ada");
    expect(after.decrypt({ column: "customers.email", rowId }, row?.email ?? "")).toBe(email);
    expect(row?.email_index).toBe(emailIndexOf(after, email));
  }
  for (const orderId of orders) expect(await addressesOf(world, orderId)).toEqual([address, address]);
  const [answer] = await run<{ name: string }>(
    world.urls.customer,
    "select response_data ->> 'name' as name from idempotency_records where key = 'a'",
  );
  expect(answer?.name).toMatch(/^p1\.old-1\./);

  expect((await world.all()).map(({ rewrapped }) => rewrapped)).toEqual([0, 0, 0, 0, 0]);
  expect(await reindexEmails(customer, between, STEP)).toMatchObject({ rewrapped: 0 });
});

test("a run that is cut off is begun again, and an order that moves meanwhile keeps its move", async () => {
  const world = await open();
  const orders: string[] = [];
  for (let count = 0; count < 3 * STEP; count += 1) orders.push(await addOrder(world, before));
  const cut = new Error("cut off");
  let steps = 0;
  const onStep = ({ what }: Rewrapped) => {
    if (what === "orders.shipping_address" && ++steps === 2) throw cut;
  };
  await expect(world.all({ onStep })).rejects.toBe(cut);
  const old = () =>
    run(world.urls.order, "select id from orders where shipping_address #>> '{}' like 'p1.old\\_1.%'");
  expect(await old()).toHaveLength(STEP);

  const { order } = world.databases;
  if (!order) throw new Error("no database");
  const move = statement(
    "test_move",
    "update orders set status = 'cancelled', version = version + 1 where id = $1",
  );
  const moving = withTransaction(order, async (tx) => {
    for (const id of orders) await tx.query(move, [id]);
  });
  const again = await world.all();
  await moving;
  expect(again.reduce((sum, { missed }) => sum + missed, 0)).toBe(0);
  expect(await old()).toEqual([]);
  const moved = await run(
    world.urls.order,
    "select id from orders where status = 'cancelled' and version = 2",
  );
  expect(moved).toHaveLength(orders.length);
  for (const orderId of orders) expect(await addressesOf(world, orderId)).toEqual([address, address]);
});

test("what somebody writes at the same moment stays as they wrote it, and is left to the next run", async () => {
  const world = await open();
  const orderId = await addOrder(world, before);
  const { order } = world.databases;
  if (!order) throw new Error("no database");
  const erase = statement("test_erase", "update orders set shipping_address = null where id = $1");
  const done = await withTransaction(order, async (tx) => {
    await tx.query(erase, [orderId]);
    const running = world.all();
    await until("the run waits for us", async () => {
      const waiting = await run(world.urls.order, "select from pg_locks where not granted");
      return waiting.length > 0;
    });
    return { running };
  });
  expect((await done.running)[3]).toMatchObject({ looked: 1, rewrapped: 0, missed: 1 });
  expect(await run(world.urls.order, "select shipping_address as held from orders")).toEqual([
    { held: null },
  ]);
});

test("what cannot be decrypted is named and left, and the rest is done", async () => {
  const world = await open();
  const stranger = createPersonalData(ring("gone", { gone: key() }));
  const [lost, good] = [await addOrder(world, stranger), await addOrder(world, before)];
  const person = await addCustomer(world, stranger, "a@example.org");
  const done = await world.all();
  expect(done[1]).toMatchObject({ looked: 1, rewrapped: 0, unreadable: [person] });
  expect(done[3]).toMatchObject({ looked: 2, rewrapped: 1, unreadable: [lost] });
  const { customer } = world.databases;
  expect(customer && (await reindexEmails(customer, between, STEP))).toMatchObject({ unreadable: [person] });
  expect(await addressesOf(world, good)).toEqual([address, address]);
});
