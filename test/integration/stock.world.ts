import { randomUUID } from "node:crypto";
import { type Tx, withTransaction } from "../../lib/database.ts";
import { EVENTS, type Line } from "../../lib/events.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import { appendEvents } from "../../mixins/outbox.store.ts";
import { type Command, releaseStock, reserveStock } from "../../services/product/stock.commands.ts";
import { run, type TestServer } from "../support/service-database.ts";

export const TTL_SECONDS = 900;

export type Basket = readonly (readonly [product: string, quantity: number])[];
export const linesOf = (basket: Basket): Line[] =>
  basket.map(([productId, quantity]) => ({ productId, quantity }));
const traced = { correlationId: "correlation", causationId: randomUUID() };
export const reserve = (orderId: string, basket: Basket): Command<"RESERVE_STOCK"> => ({
  ...traced,
  data: { orderId, sagaId: `saga ${orderId}`, items: linesOf(basket) },
});
export const release = (orderId: string, basket: Basket): Command<"RELEASE_STOCK"> => ({
  ...traced,
  data: { orderId, sagaId: `saga ${orderId}`, items: linesOf(basket), reason: "TEST" },
});

/** A shop with these units of each product, the products in an order of their own. */
export async function openShop(server: TestServer, ...available: readonly number[]) {
  const { url, open } = await server.fresh("product");
  // On a busy machine the last of many that meet at one row waits long.
  const database = open({ connectionsMax: 8, lockTimeoutMs: 20_000, statementTimeoutMs: 20_000 });
  const products: readonly string[] = available.map(() => randomUUID());
  await run(
    url,
    `insert into products (id, sku, name, price_minor, currency, available)
     select id, 'sku ' || id, 'a product', 100, 'EUR', available from unnest($1::uuid[], $2::bigint[]) as t(id, available)`,
    [products, available],
  );
  // What is told goes into the outbox with its versions, as in the service: a version told twice would fail.
  const tell = async (tx: Tx, told: Promise<NewEvent[]>) => {
    const events = await told;
    appendEvents(
      tx,
      events.map((event) => ({ ...event, ...EVENTS[event.type] })),
    );
    return events.map(({ type, data }) => ({ type, data }));
  };
  return {
    url,
    database,
    products,
    reserve: (...commands: readonly Command<"RESERVE_STOCK">[]) =>
      withTransaction(database, (tx) => tell(tx, reserveStock(tx, commands, TTL_SECONDS))),
    release: (...commands: readonly Command<"RELEASE_STOCK">[]) =>
      withTransaction(database, (tx) => tell(tx, releaseStock(tx, commands))),
    /** available and reserved of each product, in the order given. */
    async stock() {
      const rows = await run<{ id: string; available: number; reserved: number }>(
        url,
        "select id, available::int, reserved::int from products",
      );
      return products.map((product) => {
        const row = rows.find(({ id }) => id === product);
        return [row?.available, row?.reserved];
      });
    },
    heads: () =>
      run(url, "select status, event_version from order_reservations order by created_at, order_id"),
    lines: () => run(url, "select quantity::int, status from stock_reservations order by quantity, status"),
  };
}
export const types = (events: readonly { type: string }[]) => events.map(({ type }) => type);
