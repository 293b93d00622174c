import type { IdempotencyClaim, OrderBill } from "../../lib/contracts.ts";
import { type Database, withTransaction } from "../../lib/database.ts";
import { StateConflictError } from "../../lib/errors.ts";
import { findRecords } from "../../mixins/idempotency.store.ts";

/**
 * Lets only an order that is `created` be paid, but a repeated request through to its stored answer, whatever
 * has become of the order since. @throws StateConflictError
 */
export async function assertPayable(
  database: Database,
  { orderId, status }: OrderBill,
  claim: IdempotencyClaim,
): Promise<void> {
  if (status === "created") return;
  const known = await withTransaction(database, (tx) => findRecords(tx, [claim]));
  if (known.size > 0) return;
  throw new StateConflictError(`An order that is ${status} cannot be paid.`, "ORDER_STATE_CONFLICT", {
    orderId,
    status,
  });
}
