import type { Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/**
 * SQL of orders that were cancelled before their draft came. Drafts and such cancellations keep out of each other's
 * way by an advisory lock: else each could look for the other's row before it is there, and both would go through.
 * Drafts share it; the cancellation, which is rare, has it alone.
 */

// Any number, of this use alone in this database: the table's name in ASCII, "tomb".
const LOCK_KEY = 0x746f6d62;
const SHARE = statement("order_tombstones_share", "select pg_advisory_xact_lock_shared($1)");
const LOCK = statement("order_tombstones_lock", "select pg_advisory_xact_lock($1)");
const BURIED = statement(
  "order_buried",
  "select order_id as id from order_tombstones where order_id = any($1)",
);
const BURY = statement(
  "order_bury",
  "insert into order_tombstones (order_id) select id from unnest($1::uuid[]) as t(id) order by id on conflict do nothing",
);

/** Before drafts are inserted: no cancellation buries any until the transaction ends. */
export function keepTombstones(tx: Tx): void {
  tx.send(SHARE, [LOCK_KEY]);
}

/** Before the last look for drafts that did not come: none comes until the transaction ends. */
export function holdDrafts(tx: Tx): void {
  tx.send(LOCK, [LOCK_KEY]);
}

/** From now on no draft of these orders is taken. */
export function buryOrders(tx: Tx, orderIds: readonly string[]): void {
  tx.send(BURY, [orderIds]);
}

/** Which of these orders have been cancelled before their draft came. */
export async function buriedOrders(tx: Tx, orderIds: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ id: string }>(BURIED, [orderIds]);
  return new Set(rows.map(({ id }) => id));
}
