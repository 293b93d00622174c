import type { Database, Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import {
  type Asked,
  ATTEMPT_COLUMNS,
  type AttemptRow,
  askedOf,
  insertAttempts,
  PAYMENT_COLUMNS,
  type Payment,
  type PaymentRow,
  paymentOf,
} from "./payment.store.ts";

/** SQL of refunds, and of the attempts that the worker makes. */

const LOCK_BY_ID = statement(
  "refund_lock_payments",
  `select ${PAYMENT_COLUMNS} from payments p where p.id = any($1) order by p.id for update`,
);

export async function lockPaymentsById(
  tx: Tx,
  paymentIds: readonly string[],
): Promise<ReadonlyMap<string, Payment>> {
  const rows = await tx.query<PaymentRow>(LOCK_BY_ID, [paymentIds]);
  return new Map(rows.map((row) => [row.id, paymentOf(row)]));
}

const FIND_BY_ID = statement(
  "refund_find_payment",
  `select ${PAYMENT_COLUMNS} from payments p where p.id = any($1)`,
);

/** A payment as it is now, without a lock. */
export async function findPayment(database: Database, paymentId: string): Promise<Payment | undefined> {
  const [row] = await database.query<PaymentRow>(FIND_BY_ID, [[paymentId]]);
  return row && paymentOf(row);
}

const LOCK_CAPTURED = statement(
  "refund_lock_captured",
  `select ${PAYMENT_COLUMNS} from payments p
   where p.order_id = any($1) and p.intent = 'capture' and p.captured_minor > 0 order by p.id for update`,
);

/** Locks the payment of each order whose money was taken; answers them by order. */
export async function lockCaptured(tx: Tx, orderIds: readonly string[]): Promise<Map<string, Payment>> {
  const rows = await tx.query<PaymentRow>(LOCK_CAPTURED, [orderIds]);
  return new Map(rows.map((row) => [row.order_id, paymentOf(row)]));
}

const INSERT = statement(
  "refund_insert",
  `insert into refunds (id, payment_id, amount_minor, reason, saga_id)
   select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::uuid[])`,
);

export interface NewRefund {
  readonly id: string;
  readonly paymentId: string;
  readonly amountMinor: number;
  readonly reason: string;
  readonly correlationId: string;
  /** Key of its first attempt. */
  readonly attemptId: string;
  readonly sagaId?: string;
  /** Who asked, where it was a person. */
  readonly actor?: string;
}

/** Inserts refunds with their first attempts; the worker asks the provider. */
export function insertRefunds(tx: Tx, refunds: readonly NewRefund[]): void {
  if (refunds.length === 0) return;
  tx.send(INSERT, [
    refunds.map(({ id }) => id),
    refunds.map(({ paymentId }) => paymentId),
    refunds.map(({ amountMinor }) => amountMinor),
    refunds.map(({ reason }) => reason),
    refunds.map(({ sagaId }) => sagaId ?? null),
  ]);
  insertAttempts(
    tx,
    refunds.map(({ attemptId, id: refundId, paymentId, amountMinor, correlationId }) => ({
      id: attemptId,
      paymentId,
      operation: "refund",
      amountMinor,
      correlationId,
      refundId,
      delayMs: 0,
    })),
  );
}

const ADOPT = statement(
  "refund_adopt",
  `update refunds r set saga_id = t.saga_id
   from unnest($1::uuid[], $2::uuid[]) as t(payment_id, saga_id)
   where r.payment_id = t.payment_id and r.status = 'pending'`,
);

/** Makes refunds that are on their way part of a cancellation, which then waits for them. */
export function adoptRefunds(
  tx: Tx,
  adopted: readonly { readonly paymentId: string; readonly sagaId: string }[],
): void {
  if (adopted.length > 0)
    tx.send(ADOPT, [adopted.map(({ paymentId }) => paymentId), adopted.map(({ sagaId }) => sagaId)]);
}

const CLAIM = statement(
  "refund_claim_attempts",
  `with claimed as (
     update payment_attempts set tries = tries + 1, next_at = now() + $2 * interval '1 millisecond'
     where id = any(array(
       select id from payment_attempts where next_at is not null and next_at <= now()
       order by next_at limit $1 for update skip locked))
     returning *
   )
   select ${PAYMENT_COLUMNS}, ${ATTEMPT_COLUMNS} from claimed a join payments p on p.id = a.payment_id`,
);

/** Takes attempts that are due, for the lease's time: whoever dies with them leaves them to the next. */
export async function claimAttempts(database: Database, limit: number, leaseMs: number): Promise<Asked[]> {
  const rows = await database.query<AttemptRow>(CLAIM, [limit, leaseMs]);
  return rows.map(askedOf);
}

// One that has been answered meanwhile has no time any more, or a later one.
const RENEW = statement(
  "refund_renew_attempts",
  `update payment_attempts set next_at = greatest(next_at, now() + $2 * interval '1 millisecond')
   where id = any($1) and next_at is not null`,
);

/** Keeps attempts that are in hand from being taken by others, for the lease's time from now. */
export async function renewAttempts(
  database: Database,
  attemptIds: readonly string[],
  leaseMs: number,
): Promise<void> {
  await database.query(RENEW, [attemptIds, leaseMs]);
}
