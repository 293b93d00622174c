import type { PaymentAttemptView, PaymentStatus, PaymentView } from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** What payments look like from outside, attempts and all, read in one statement for many. */

export interface PaymentLookup {
  /** One of the two. */
  readonly paymentId?: string;
  readonly orderId?: string;
  /** Set: only payments of this customer exist. */
  readonly customerId?: string;
}

interface ViewRow {
  id: string;
  order_id: string;
  customer_id: string;
  status: PaymentStatus;
  amount_minor: number;
  captured_minor: number;
  refunded_minor: number;
  currency: string;
  attempts: readonly (Omit<PaymentAttemptView, "errorCode"> & { errorCode: string | null })[];
}

const VIEW = statement(
  "payment_view",
  `select p.id, p.order_id, p.customer_id, p.status, p.amount_minor, p.captured_minor, p.refunded_minor, p.currency,
          (select json_agg(json_build_object('operation', a.operation, 'status', a.status, 'amountMinor', a.amount_minor,
                                             'at', a.created_at, 'errorCode', a.error_code) order by a.id)
           from payment_attempts a where a.payment_id = p.id) as attempts
   from payments p
   where p.id = any($1) or p.order_id = any($2)
   order by p.id`,
);

/** Payments as their viewers may see them, for each lookup those that exist for it. */
export async function findPayments(
  database: Database,
  lookups: readonly PaymentLookup[],
): Promise<(readonly PaymentView[])[]> {
  const rows = await database.query<ViewRow>(VIEW, [
    lookups.flatMap(({ paymentId }) => paymentId ?? []),
    lookups.flatMap(({ orderId }) => orderId ?? []),
  ]);
  return lookups.map(({ paymentId, orderId, customerId }) =>
    rows
      .filter((row) => row.id === paymentId || row.order_id === orderId)
      .filter((row) => customerId === undefined || row.customer_id === customerId)
      .map(viewOf),
  );
}

function viewOf(row: ViewRow): PaymentView {
  return {
    paymentId: row.id,
    orderId: row.order_id,
    status: row.status,
    amountMinor: row.amount_minor,
    capturedMinor: row.captured_minor,
    refundedMinor: row.refunded_minor,
    currency: row.currency,
    attempts: row.attempts.map(({ errorCode, at, ...attempt }) => ({
      ...attempt,
      at: new Date(at).toISOString(),
      ...(errorCode !== null && { errorCode }),
    })),
  };
}
