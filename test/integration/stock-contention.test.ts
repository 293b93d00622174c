import { randomUUID } from "node:crypto";
import { withTransaction } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import { takeStock } from "../../services/product/product.store.ts";
import { moveLines } from "../../services/product/reservation.store.ts";
import { reserveStock } from "../../services/product/stock.commands.ts";
import { run, useServer } from "../support/service-database.ts";
import { type Basket, openShop, release, reserve, types } from "./stock.world.ts";

/** Reserving and releasing by many at once: never more than there is, and never a unit lost. */

const server = useServer();
const HOLD = statement("test_hold_heads", "select order_id from order_reservations for update");
const IMPATIENT = statement("test_impatient", "set local lock_timeout = '50ms'");
const setUp = (...available: readonly number[]) => openShop(server, ...available);

test("two hundred at once for fifty units: fifty have one each, and nothing is left", async () => {
  const shop = await setUp(50);
  const [a = ""] = shop.products;
  const told = await Promise.all(
    Array.from({ length: 200 }, () => shop.reserve(reserve(randomUUID(), [[a, 1]]))),
  );
  expect(types(told.flat()).filter((type) => type === "STOCK_RESERVED")).toHaveLength(50);
  expect(types(told.flat()).filter((type) => type === "STOCK_RESERVATION_FAILED")).toHaveLength(150);
  await expect(shop.stock()).resolves.toEqual([[0, 50]]);
  expect(shop.database.counters.retries).toBe(0);
});

test("commands that are sent many times at once, in any order, have one effect each", async () => {
  const shop = await setUp(100);
  const [a = ""] = shop.products;
  const commands = Array.from({ length: 10 }, () => reserve(randomUUID(), [[a, 3]]));
  const shuffled = () => [...commands].sort(() => Math.random() - 0.5);
  const told = await Promise.all(Array.from({ length: 20 }, () => shop.reserve(...shuffled())));
  expect(new Set(types(told.flat()))).toEqual(new Set(["STOCK_RESERVED"]));
  await expect(shop.stock()).resolves.toEqual([[70, 30]]);
  expect(new Set(await shop.heads())).toEqual(
    new Set(commands.map(() => ({ status: "RESERVED", event_version: 20 }))),
  );
  expect(shop.database.counters.retries).toBe(0);
});

test("a reservation and its release in any order, at once and repeated, end with the stock given back", async () => {
  const shop = await setUp(100);
  const [a = ""] = shop.products;
  const orders = Array.from({ length: 20 }, () => randomUUID());
  await Promise.all(
    orders.flatMap((order) => [
      shop.reserve(reserve(order, [[a, 1]])),
      shop.release(release(order, [[a, 1]])),
      shop.reserve(reserve(order, [[a, 1]])),
      shop.release(release(order, [[a, 1]])),
    ]),
  );
  await expect(shop.stock()).resolves.toEqual([[100, 0]]);
});

const random = (below: number) => Math.floor(Math.random() * below);

test("eight writers with baskets at random, sent twice and released: no unit is lost, none wait in a circle", async () => {
  const initial = [40, 60, 80, 5, 100, 30];
  const shop = await setUp(...initial);
  const basket = (): Basket =>
    Array.from({ length: 1 + random(4) }, () => [shop.products[random(initial.length)] ?? "", 1 + random(3)]);
  const write = async () => {
    const mine: { order: string; basket: Basket }[] = [];
    for (let batches = 0; batches < 12; batches += 1) {
      const fresh = Array.from({ length: 5 }, () => ({ order: randomUUID(), basket: basket() }));
      const repeated = mine.slice(0, random(3));
      await shop.reserve(...[...fresh, ...repeated].map((one) => reserve(one.order, one.basket)));
      mine.push(...fresh);
      const given = mine.splice(0, random(6));
      if (given.length > 0) await shop.release(...given.map((one) => release(one.order, one.basket)));
    }
  };
  await Promise.all(Array.from({ length: 8 }, write));
  const held = await run<{ id: string; total: number; reserved: number; lines: number }>(
    shop.url,
    `select p.id, (p.available + p.reserved)::int as total, p.reserved::int as reserved,
            coalesce((select sum(quantity) from stock_reservations l where l.product_id = p.id and l.status = 'RESERVED'), 0)::int as lines
     from products p`,
  );
  for (const { id, total, reserved, lines } of held) {
    expect(total).toBe(initial[shop.products.indexOf(id)]);
    expect(reserved).toBe(lines);
  }
  // Each order's events are told in versions without a gap.
  const gaps = await run(
    shop.url,
    "select aggregate_id from outbox_events group by aggregate_id having max(aggregate_version) <> count(*)",
  );
  expect(gaps).toEqual([]);
  const deadlocks = await run(
    shop.url,
    "select deadlocks::int from pg_stat_database where datname = current_database()",
  );
  expect(deadlocks).toEqual([{ deadlocks: 0 }]);
  expect(shop.database.counters.retries).toBe(0);
});

test("below the allocation stands a second guard: no statement takes more than there is, or gives back twice", async () => {
  const shop = await setUp(5);
  const [a = ""] = shop.products;
  const taking = withTransaction(shop.database, (tx) => takeStock(tx, new Map([[a, 6]])));
  await expect(taking).rejects.toMatchObject({ message: "less stock than was allocated" });
  const order = randomUUID();
  await shop.reserve(reserve(order, [[a, 2]]));
  const ending = () => withTransaction(shop.database, (tx) => moveLines(tx, [order], "RESERVED", "RELEASED"));
  await expect(ending()).resolves.toEqual([{ orderId: order, productId: a, quantity: 2 }]);
  await expect(ending()).resolves.toEqual([]);
});

test("a lock that is not to be had fails its own transaction and nothing else of the process", async () => {
  const shop = await setUp(5);
  const [a = ""] = shop.products;
  const command = reserve(randomUUID(), [[a, 1]]);
  await shop.reserve(command);
  const unheard: unknown[] = [];
  const listen = (reason: unknown) => unheard.push(reason);
  process.on("unhandledRejection", listen);
  try {
    await withTransaction(shop.database, async (tx) => {
      await tx.query(HOLD);
      const impatient = withTransaction(shop.database, async (other) => {
        other.send(IMPATIENT);
        return reserveStock(other, [command], 60);
      });
      await expect(impatient).rejects.toMatchObject({ code: "55P03" });
    });
    // Node looks for rejections that nobody heard when the tick has ended.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unheard).toEqual([]);
  } finally {
    process.off("unhandledRejection", listen);
  }
  expect(types(await shop.reserve(command))).toEqual(["STOCK_RESERVED"]);
});
