import type { PaymentStatus } from "../../lib/contracts.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import type { AttemptState, AttemptStatus, Intent, PaymentState } from "./payment.ts";
import type { Operation } from "./psp/port.ts";

/** SQL of payments and their attempts. Each function takes many; one is a batch of one. */

export interface Payment extends PaymentState {
  readonly id: string;
  readonly gid: string;
  readonly orderId: string;
  readonly currency: string;
  readonly paymentMethod: string;
  /** Key of the attempt that authorised. */
  readonly authorisationId: string;
  readonly providerReference: string | null;
  readonly errorCode: string | null;
  /** Version of the last event that told of it. */
  readonly eventVersion: number;
}

export interface Attempt extends AttemptState {
  readonly id: string;
  readonly paymentId: string;
  readonly refundId: string | null;
  readonly correlationId: string;
  readonly tries: number;
}

export interface PaymentRow {
  id: string;
  gid: string;
  order_id: string;
  status: PaymentStatus;
  intent: Intent | null;
  held: boolean;
  amount_minor: number;
  captured_minor: number;
  refunded_minor: number;
  refunding_minor: number;
  currency: string;
  payment_method: string;
  authorisation_id: string;
  provider_reference: string | null;
  error_code: string | null;
  event_version: number;
}

export const PAYMENT_COLUMNS = `p.id, p.gid, p.order_id, p.status, p.intent, p.held, p.amount_minor, p.captured_minor,
  p.refunded_minor, p.refunding_minor, p.currency, p.payment_method, p.authorisation_id, p.provider_reference,
  p.error_code, p.event_version`;

export function paymentOf(row: PaymentRow): Payment {
  return {
    id: row.id,
    gid: row.gid,
    orderId: row.order_id,
    status: row.status,
    intent: row.intent,
    held: row.held,
    amountMinor: row.amount_minor,
    capturedMinor: row.captured_minor,
    refundedMinor: row.refunded_minor,
    refundingMinor: row.refunding_minor,
    currency: row.currency,
    paymentMethod: row.payment_method,
    authorisationId: row.authorisation_id,
    providerReference: row.provider_reference,
    errorCode: row.error_code,
    eventVersion: row.event_version,
  };
}

interface AttemptColumns {
  attempt_id: string;
  operation: Operation;
  attempt_status: AttemptStatus;
  attempt_minor: number;
  refund_id: string | null;
  correlation_id: string;
  attempt_code: string | null;
  tries: number;
}

export type AttemptRow = PaymentRow & AttemptColumns;

export const ATTEMPT_COLUMNS = `a.id as attempt_id, a.operation, a.status as attempt_status,
  a.amount_minor as attempt_minor, a.refund_id, a.correlation_id, a.error_code as attempt_code, a.tries`;

export interface Asked {
  readonly payment: Payment;
  readonly attempt: Attempt;
}

export function askedOf(row: AttemptRow): Asked {
  return {
    payment: paymentOf(row),
    attempt: {
      id: row.attempt_id,
      paymentId: row.id,
      operation: row.operation,
      status: row.attempt_status,
      amountMinor: row.attempt_minor,
      refundId: row.refund_id,
      correlationId: row.correlation_id,
      errorCode: row.attempt_code,
      tries: row.tries,
    },
  };
}

const INSERT = statement(
  "payment_insert",
  `insert into payments (id, order_id, customer_id, gid, status, hold_until, amount_minor, currency, payment_method,
     authorisation_id, provider)
   select id, order_id, customer_id, gid, 'initiated', now() + $10 * interval '1 second', amount, currency, method,
          authorisation_id, $9
   from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::text[], $7::text[], $8::uuid[])
        as t(id, order_id, customer_id, gid, amount, currency, method, authorisation_id)`,
);

export function insertPayments(
  tx: Tx,
  payments: readonly (Payment & { readonly customerId: string })[],
  provider: string,
  holdSeconds: number,
): void {
  if (payments.length === 0) return;
  tx.send(INSERT, [
    payments.map(({ id }) => id),
    payments.map(({ orderId }) => orderId),
    payments.map(({ customerId }) => customerId),
    payments.map(({ gid }) => gid),
    payments.map(({ amountMinor }) => amountMinor),
    payments.map(({ currency }) => currency),
    payments.map(({ paymentMethod }) => paymentMethod),
    payments.map(({ authorisationId }) => authorisationId),
    provider,
    holdSeconds,
  ]);
}

const INSERT_ATTEMPTS = statement(
  "payment_insert_attempts",
  `insert into payment_attempts (id, payment_id, operation, amount_minor, refund_id, correlation_id, next_at)
   select id, payment_id, operation, amount, refund_id, correlation_id, now() + delay * interval '1 millisecond'
   from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::uuid[], $6::text[], $7::int[])
        as t(id, payment_id, operation, amount, refund_id, correlation_id, delay)`,
);

export interface NewAttempt
  extends Pick<Attempt, "id" | "paymentId" | "operation" | "amountMinor" | "correlationId"> {
  readonly refundId?: string;
  /** Set: the worker asks, after this time. */
  readonly delayMs?: number;
}

export function insertAttempts(tx: Tx, attempts: readonly NewAttempt[]): void {
  if (attempts.length === 0) return;
  tx.send(INSERT_ATTEMPTS, [
    attempts.map(({ id }) => id),
    attempts.map(({ paymentId }) => paymentId),
    attempts.map(({ operation }) => operation),
    attempts.map(({ amountMinor }) => amountMinor),
    attempts.map(({ refundId }) => refundId ?? null),
    attempts.map(({ correlationId }) => correlationId),
    attempts.map(({ delayMs }) => delayMs ?? null),
  ]);
}

const CAPTURED_ORDERS = statement(
  "payment_captured_orders",
  "select order_id from payments where order_id = any($1) and intent = 'capture' and captured_minor > 0",
);

/** Orders whose money has been taken. */
export async function capturedOrders(tx: Tx, orderIds: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ order_id: string }>(CAPTURED_ORDERS, [orderIds]);
  return new Set(rows.map(({ order_id }) => order_id));
}

const LOCK = statement(
  "payment_lock",
  `select ${PAYMENT_COLUMNS},
          exists (select from payments o where o.order_id = p.order_id and o.intent = 'capture' and o.id <> p.id)
            as order_taken
   from payments p where p.gid = any($1) order by p.id for update of p`,
);

export interface LockedPayment extends Payment {
  /** Another payment of the order is captured, or about to be. */
  readonly orderTaken: boolean;
}

/** Locks the payments of these transactions; answers them by gid. */
export async function lockPayments(
  tx: Tx,
  gids: readonly string[],
): Promise<ReadonlyMap<string, LockedPayment>> {
  const rows = await tx.query<PaymentRow & { order_taken: boolean }>(LOCK, [gids]);
  return new Map(rows.map((row) => [row.gid, { ...paymentOf(row), orderTaken: row.order_taken }]));
}

const DECIDE = statement(
  "payment_decide",
  "update payments set intent = $2, updated_at = now() where id = any($1)",
);

export function setIntent(tx: Tx, paymentIds: readonly string[], intent: Intent): void {
  if (paymentIds.length > 0) tx.send(DECIDE, [paymentIds, intent]);
}

const LATEST = statement(
  "payment_latest_attempts",
  `select distinct on (p.gid) ${PAYMENT_COLUMNS}, ${ATTEMPT_COLUMNS}
   from payments p join payment_attempts a on a.payment_id = p.id
   where p.gid = any($1) and a.operation = $2
   order by p.gid, a.id desc`,
);

/** The last attempt at an operation of each of these transactions, by gid. */
export async function latestAttempts(
  tx: Tx,
  gids: readonly string[],
  operation: Operation,
): Promise<ReadonlyMap<string, Asked>> {
  if (gids.length === 0) return new Map();
  const rows = await tx.query<AttemptRow>(LATEST, [gids, operation]);
  return new Map(rows.map((row) => [row.gid, askedOf(row)]));
}

// Claimed for a minute, so that replicas share the work and one that fails does not hold up the rest.
const EXPIRED = statement(
  "payment_expired",
  `update payments set hold_until = now() + interval '1 minute'
   where id = any(array(
     select id from payments where held and hold_until <= now() and intent is distinct from 'capture'
     order by hold_until limit $1 for update skip locked))
   returning gid`,
);

/** Transactions that nobody has decided on in time. */
export async function expiredHolds(database: Database, limit: number): Promise<string[]> {
  const rows = await database.query<{ gid: string }>(EXPIRED, [limit]);
  return rows.map(({ gid }) => gid);
}
