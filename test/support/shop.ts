import { randomUUID } from "node:crypto";
import type { OrderView, SagaView } from "../../lib/contracts.ts";
import type { Person } from "../../scripts/demo/tokens.ts";
import type { HttpAnswer } from "./http.ts";
import type { System } from "./system.ts";
import { until } from "./until.ts";

/** What a customer does: order, and look what became of it. */

export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

export interface Placed {
  readonly orderId: string;
  readonly sagaId: string;
}

export interface PlaceOptions {
  readonly as?: Person;
  readonly key?: string;
  readonly correlationId?: string;
}

export function place(
  system: System,
  items: readonly Line[],
  options: PlaceOptions = {},
): Promise<HttpAnswer> {
  const { as, key = randomUUID(), correlationId } = options;
  const headers: Record<string, string> =
    correlationId === undefined ? {} : { "x-correlation-id": correlationId };
  return system.api("/orders", { as, key, headers, body: { items } });
}

/** Places an order that must be accepted. */
export async function order(
  system: System,
  items: readonly Line[],
  options: PlaceOptions = {},
): Promise<Placed> {
  const answer = await place(system, items, options);
  expect({ status: answer.status, body: answer.text }).toMatchObject({ status: 202 });
  return placedOf(answer);
}

export function placedOf({ body }: HttpAnswer): Placed {
  return { orderId: String(body?.orderId), sagaId: String(body?.sagaId) };
}

/** The order once its saga has ended. */
export function ended(
  system: System,
  orderId: string,
  { as = "customer", timeoutMs = 30_000 }: { as?: Person; timeoutMs?: number } = {},
): Promise<OrderView> {
  let last = "nothing";
  return until(
    `order ${orderId} has ended`,
    async () => {
      const request = { as, headers: { prefer: "wait=5" } };
      const answer = await system.api(`/orders/${orderId}`, request).catch((error: Error) => {
        last = error.message;
        throw error;
      });
      last = answer.text;
      if (answer.status !== 200) throw new Error(`${answer.status} ${last}`);
      const view = answer.body as unknown as OrderView;
      return view.status === "draft" ? undefined : view;
    },
    { timeoutMs },
  ).catch((cause: unknown) => {
    throw new Error(`order ${orderId} did not end; last seen: ${last}`, { cause });
  });
}

export async function sagaOf(system: System, sagaId: string): Promise<SagaView> {
  const answer = await system.api(`/orders/saga/${sagaId}`);
  expect(answer.status).toBe(200);
  return answer.body as unknown as SagaView;
}

export interface Stock {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
}

export async function stockOf(system: System, productId: string): Promise<Stock> {
  const [stock] = await system.sql<Stock>(
    "product",
    `select available::float8 as available, reserved::float8 as reserved, sold::float8 as sold
     from products where id = $1`,
    [productId],
  );
  if (stock === undefined) throw new Error(`no product ${productId}`);
  return stock;
}

/** A product of the demo data by its SKU. */
export async function productId(system: System, sku: string): Promise<string> {
  const [found] = await system.sql<{ id: string }>("product", "select id from products where sku = $1", [
    sku,
  ]);
  if (found === undefined) throw new Error(`no product ${sku}`);
  return found.id;
}

/** Rows of each table of each database, without the ones that live processes keep about themselves and their refusals. */
export async function countRows(system: System): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  const bus = system.demo.kafkaBrokers === undefined ? (["bus"] as const) : [];
  for (const database of ["order", "product", "customer", "saga", ...bus] as const) {
    const tables = await system.sql<{ name: string }>(
      database,
      `select table_name as name from information_schema.tables
       where table_schema = 'public' and table_type = 'BASE TABLE'
         and table_name not in ('outbox_relays', 'bus_members', 'audit_trail')`,
    );
    for (const { name } of tables) {
      const [row] = await system.sql<{ rows: number }>(
        database,
        `select count(*)::int as rows from "${name}"`,
      );
      counts[`${database}.${name}`] = row?.rows ?? -1;
    }
  }
  return counts;
}
