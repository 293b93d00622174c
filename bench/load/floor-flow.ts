import { randomUUID } from "node:crypto";
import pg from "pg";
import type { Basket, Flow, Placed } from "./flow.ts";
import type { FloorTarget } from "./protocol.ts";

/** Beyond this, more sessions only contend; the same number as in our comparison with other engines. */
export const FLOOR_CONNECTIONS_MAX = 32;

/** The business rows of an order, as PostgreSQL gets them. Written for two lines, the smaller product id first. */
export const FLOOR_STATEMENTS = {
  order: `insert into orders (id, customer_id, saga_id, status, total_minor, currency)
    values ($1, $2, $1, 'draft', $3, 'EUR')`,
  items: `insert into order_items (order_id, line, product_id, sku, quantity, price_minor)
    values ($1, 1, $2, 'BENCH', $3, 100), ($1, 2, $4, 'BENCH', $5, 100)`,
  drafted: "insert into order_status_history (order_id, version, status) values ($1, 1, 'draft')",
  customer: "select status from customers where id = $1",
  reservations: `insert into stock_reservations (order_id, product_id, quantity, status, expires_at)
    values ($1, $2, $3, 'RESERVED', now() + interval '15 minutes'), ($1, $4, $5, 'RESERVED', now() + interval '15 minutes')`,
  stock: `update products set available = available - $2, reserved = reserved + $2, updated_at = now()
    where id = $1 and available >= $2`,
  confirm: `update orders set status = 'created', version = version + 1, updated_at = now()
    where id = $1 and status = 'draft'`,
  confirmed: "insert into order_status_history (order_id, version, status) values ($1, 2, 'created')",
} as const;

/**
 * The floor: what the bare business costs. One transaction an order, one statement after the other, as most people
 * would write it: no saga, no events, no idempotency, no HTTP; one crash away from nothing, for there is one database.
 */
export function createFloorFlow({ url, customerIds }: FloorTarget, concurrency: number): Flow {
  const pool = new pg.Pool({
    connectionString: url,
    max: Math.min(concurrency, FLOOR_CONNECTIONS_MAX),
    idleTimeoutMillis: 0,
    // Plans made over empty tables would scan them for ever; the services pin theirs, too.
    options: "-c search_path=bench -c enable_seqscan=off -c plan_cache_mode=force_generic_plan",
  });
  pool.on("error", () => undefined);
  let placed = 0;
  return {
    async place(basket: Basket): Promise<Placed> {
      const customerId = customerIds[placed % customerIds.length] ?? "";
      placed += 1;
      const client = await pool.connect();
      try {
        await client.query("begin");
        const orderId = await writeOrder(client, customerId, basket);
        await client.query("commit");
        return { orderId };
      } catch (error) {
        await client.query("rollback");
        throw error;
      } finally {
        client.release();
      }
    },
    polled: () => false,
    close: () => pool.end(),
  };
}

async function writeOrder(client: pg.PoolClient, customerId: string, basket: Basket): Promise<string> {
  const run = (name: keyof typeof FLOOR_STATEMENTS, values: unknown[]) =>
    client.query({ name, text: FLOOR_STATEMENTS[name], values });
  const orderId = randomUUID();
  const lines: [string, number][] = [
    [basket.first, 1],
    [basket.second, 2],
  ];
  lines.sort(([one], [other]) => (one < other ? -1 : 1));
  await run("order", [orderId, customerId, 300]);
  await run("items", [orderId, ...lines.flat()]);
  await run("drafted", [orderId]);
  const { rows } = await run("customer", [customerId]);
  if (rows[0]?.status !== "active") throw new Error("the customer is not active");
  await run("reservations", [orderId, ...lines.flat()]);
  for (const line of lines) {
    if ((await run("stock", line)).rowCount !== 1) throw new Error("out of stock");
  }
  await run("confirm", [orderId]);
  await run("confirmed", [orderId]);
  return orderId;
}
