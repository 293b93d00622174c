import { randomUUID } from "node:crypto";
import { run, useServer } from "../support/service-database.ts";
import { type Basket, linesOf, openShop, release, reserve, TTL_SECONDS, types } from "./stock.world.ts";

/** Reserving and releasing on a real PostgreSQL, one command after the other. */

const server = useServer();
const setUp = (...available: readonly number[]) => openShop(server, ...available);

test("an order that finds all it wants has it reserved, for a time", async () => {
  const shop = await setUp(5, 3);
  const [a = "", b = ""] = shop.products;
  const order = randomUUID();
  const events = await shop.reserve(
    reserve(order, [
      [a, 2],
      [b, 3],
    ]),
  );
  expect(events).toEqual([
    {
      type: "STOCK_RESERVED",
      data: {
        orderId: order,
        sagaId: `saga ${order}`,
        items: linesOf([
          [a, 2],
          [b, 3],
        ]),
        expiresAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      },
    },
  ]);
  await expect(shop.stock()).resolves.toEqual([
    [3, 2],
    [0, 3],
  ]);
  await expect(shop.lines()).resolves.toEqual([
    { quantity: 2, status: "RESERVED" },
    { quantity: 3, status: "RESERVED" },
  ]);
  const seconds = await run(
    shop.url,
    "select distinct extract(epoch from h.expires_at - h.created_at)::int as ttl, l.expires_at = h.expires_at as same from order_reservations h join stock_reservations l using (order_id)",
  );
  expect(seconds).toEqual([{ ttl: TTL_SECONDS, same: true }]);
});

test("an order that lacks one product takes nothing, and is told which", async () => {
  const shop = await setUp(5, 1);
  const [a = "", b = ""] = shop.products;
  const ghost = randomUUID();
  const events = await shop.reserve(
    reserve(randomUUID(), [
      [a, 2],
      [b, 2],
    ]),
    reserve(randomUUID(), [[ghost, 1]]),
    reserve(randomUUID(), [
      [a, 1],
      [a, 1],
    ]),
  );
  expect(events.map(({ data }) => data)).toMatchObject([
    {
      items: [
        { productId: a, quantity: 1 },
        { productId: a, quantity: 1 },
      ],
    },
    { productId: b, reason: "OUT_OF_STOCK", available: 1, requested: 2 },
    { productId: ghost, reason: "PRODUCT_NOT_FOUND", available: 0, requested: 1 },
  ]);
  await expect(shop.stock()).resolves.toEqual([
    [3, 2],
    [1, 0],
  ]);
});

test("a command that is sent again is told the same outcome and changes nothing", async () => {
  const shop = await setUp(2);
  const [a = ""] = shop.products;
  const [lucky, unlucky] = [reserve(randomUUID(), [[a, 2]]), reserve(randomUUID(), [[a, 1]])];
  const first = await shop.reserve(lucky);
  await shop.reserve(unlucky);
  await expect(shop.reserve(lucky, lucky)).resolves.toEqual(first);
  // Refused once, refused for good: what has come in meanwhile is others'.
  await run(shop.url, "update products set available = 7");
  expect(types(await shop.reserve(unlucky))).toEqual(["STOCK_RESERVATION_FAILED"]);
  await expect(shop.stock()).resolves.toEqual([[7, 2]]);
  await expect(shop.heads()).resolves.toEqual([
    { status: "RESERVED", event_version: 2 },
    { status: "REFUSED", event_version: 2 },
  ]);
});

test("a release gives back what the order held, once however often it is sent", async () => {
  const shop = await setUp(5, 5);
  const [a = "", b = ""] = shop.products;
  const order = randomUUID();
  const basket: Basket = [
    [a, 2],
    [b, 1],
  ];
  await shop.reserve(reserve(order, basket), reserve(randomUUID(), [[a, 1]]));
  const [event] = await shop.release(release(order, basket));
  expect(event).toMatchObject({ type: "STOCK_RELEASED", data: { orderId: order, reason: "TEST" } });
  expect(event?.data).toMatchObject({ items: expect.arrayContaining(linesOf(basket)) });
  await expect(shop.stock()).resolves.toEqual([
    [4, 1],
    [5, 0],
  ]);
  const again = await shop.release(release(order, basket), release(order, basket));
  expect(again).toMatchObject([{ type: "STOCK_RELEASED", data: { orderId: order, items: [] } }]);
  await expect(shop.stock()).resolves.toEqual([
    [4, 1],
    [5, 0],
  ]);
  await expect(shop.lines()).resolves.toEqual([
    { quantity: 1, status: "RELEASED" },
    { quantity: 1, status: "RESERVED" },
    { quantity: 2, status: "RELEASED" },
  ]);
});

test("a release that comes before its reservation stands: the reservation then finds the order given up", async () => {
  const shop = await setUp(5);
  const [a = ""] = shop.products;
  const order = randomUUID();
  expect(await shop.release(release(order, [[a, 2]]))).toMatchObject([
    { type: "STOCK_RELEASED", data: { items: [] } },
  ]);
  expect(await shop.reserve(reserve(order, [[a, 2]]))).toMatchObject([
    { type: "STOCK_RESERVATION_FAILED", data: { reason: "RELEASED" } },
  ]);
  await expect(shop.stock()).resolves.toEqual([[5, 0]]);
  await expect(shop.heads()).resolves.toEqual([{ status: "RELEASED", event_version: 2 }]);
});
