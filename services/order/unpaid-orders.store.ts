import type { Database, Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/**
 * SQL of the orders that hold stock and are not paid. They are counted when it matters, along the index of a customer's
 * orders and no further back than stock can be reserved: a counter would be a write for each order, and an index by
 * status would take all its updates their place.
 */

/** An order older than this by its id (UUIDv7) has lost its reservation. */
export function unpaidSince(ttlSeconds: number): string {
  const from = Date.now() - (ttlSeconds + MARGIN_SECONDS) * 1_000;
  const hex = Math.max(0, from).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/** Clocks of other machines, and payments that hold an order longer. */
const MARGIN_SECONDS = 3_600;

/** SQL that counts the unpaid orders of a customer, up to `max`. */
export const countUnpaid = (customer: string, since: string, max: string) =>
  `(select count(*)::int from (
      select 1 from orders u
      where u.customer_id = ${customer} and u.id > ${since} and u.status in ('draft', 'created', 'paying')
      limit ${max}) found)`;

// Any number, of this use alone in this database: the table's name in ASCII, "unpd".
const LOCK_KEY = 0x756e7064;
const LOCK = statement(
  "order_unpaid_lock",
  `select pg_advisory_xact_lock($1, customer)
   from (select distinct hashtext(id) as customer from unnest($2::text[]) as t(id) order by 1) c`,
);

/** Before drafts are counted in and inserted: nobody else does so for these customers until the transaction ends. */
export function lockCustomers(tx: Tx, customerIds: readonly string[]): void {
  tx.send(LOCK, [LOCK_KEY, customerIds]);
}

const COUNT = statement(
  "order_unpaid_count",
  `select ${countUnpaid("$1::uuid", "$2::uuid", "$3::int")} as unpaid`,
);

/** How many unpaid orders a customer has, counted up to `max`. */
export async function unpaidOrders(
  database: Database,
  customerId: string,
  since: string,
  max: number,
): Promise<number> {
  const [row] = await database.query<{ unpaid: number }>(COUNT, [customerId, since, max]);
  return row?.unpaid ?? 0;
}
