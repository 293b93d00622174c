import type { Database } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of customers. */

export type CustomerStatus = "active" | "inactive";

const STATUSES = statement("customer_statuses", "select id, status from customers where id = any($1)");

/** Status of each customer that exists. */
export async function customerStatuses(
  database: Database,
  customerIds: readonly string[],
): Promise<ReadonlyMap<string, CustomerStatus>> {
  const rows = await database.query<{ id: string; status: CustomerStatus }>(STATUSES, [customerIds]);
  return new Map(rows.map(({ id, status }) => [id, status]));
}
