import type pg from "pg";
import type { Basket } from "./flow.ts";

/** The business rows of an order, as PostgreSQL gets them. Written for two lines, the smaller product id first. */
export const ORDER_STATEMENTS = {
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

/** Beyond this, more sessions only contend. */
export const BUSINESS_CONNECTIONS_MAX = 32;

/** Sessions of whoever writes these rows by plain SQL. */
export const BUSINESS_SETTINGS =
  // Plans made over empty tables would scan them for ever; the services pin theirs, too.
  "-c search_path=bench -c enable_seqscan=off -c plan_cache_mode=force_generic_plan";

export type Line = readonly [productId: string, quantity: number];

/** An order to be written; it travels through other engines as JSON. */
export interface OrderRows {
  readonly id: string;
  readonly customerId: string;
  /** By product id, as whoever locks products does it. */
  readonly lines: readonly [Line, Line];
}

export function rowsOf(id: string, customerId: string, { first, second }: Basket): OrderRows {
  const lines: [Line, Line] = [
    [first, 1],
    [second, 2],
  ];
  lines.sort(([one], [other]) => (one < other ? -1 : 1));
  return { id, customerId, lines };
}

type Client = Pick<pg.ClientBase, "query">;

async function run(
  client: Client,
  name: keyof typeof ORDER_STATEMENTS,
  values: unknown[],
): Promise<pg.QueryResult> {
  return client.query({ name, text: ORDER_STATEMENTS[name], values });
}

/** The four steps of CREATE_ORDER; each is one transaction where an engine keeps track of steps. */
export const ORDER_STEPS = {
  async draft(client: Client, { id, customerId, lines }: OrderRows): Promise<void> {
    await run(client, "order", [id, customerId, 300]);
    await run(client, "items", [id, ...lines.flat()]);
    await run(client, "drafted", [id]);
  },
  async customer(client: Client, { customerId }: OrderRows): Promise<void> {
    const { rows } = await run(client, "customer", [customerId]);
    if (rows[0]?.status !== "active") throw new Error("the customer is not active");
  },
  async reserve(client: Client, { id, lines }: OrderRows): Promise<void> {
    await run(client, "reservations", [id, ...lines.flat()]);
    for (const line of lines) {
      if ((await run(client, "stock", [...line])).rowCount !== 1) throw new Error("out of stock");
    }
  },
  async confirm(client: Client, { id }: OrderRows): Promise<void> {
    await run(client, "confirm", [id]);
    await run(client, "confirmed", [id]);
  },
} as const;

export type StepName = keyof typeof ORDER_STEPS;
export const STEP_NAMES = Object.keys(ORDER_STEPS) as readonly StepName[];
