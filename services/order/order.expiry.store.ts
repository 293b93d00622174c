import type { Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of orders whose reservation has expired. */

// Locked in id order, as every batch of orders is.
const NOTE = statement(
  "order_note_stock_expired",
  `update orders o set stock_expired_at = now()
   from (select id from orders where id = any($1) and status in ('draft', 'created', 'paying') order by id for update) open
   where o.id = open.id`,
);

/** Notes that their stock is gone, and keeps these orders as they are until the transaction ends. */
export async function noteStockExpired(tx: Tx, orderIds: readonly string[]): Promise<void> {
  await tx.query(NOTE, [orderIds]);
}

const WITHOUT_STOCK = statement(
  "order_without_stock",
  "select id from orders where id = any($1) and status = 'created' and stock_expired_at is not null",
);

/** Those of created orders whose stock is gone. */
export async function withoutStock(tx: Tx, orderIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (orderIds.length === 0) return new Set();
  const rows = await tx.query<{ id: string }>(WITHOUT_STOCK, [orderIds]);
  return new Set(rows.map(({ id }) => id));
}
