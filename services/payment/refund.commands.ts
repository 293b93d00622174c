import type { Actions } from "../../lib/actions.ts";
import type { IdempotentAnswer } from "../../lib/contracts.ts";
import { type Tx, withTransaction } from "../../lib/database.ts";
import { NotFoundError } from "../../lib/errors.ts";
import type { EventData } from "../../lib/events.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { type AuditEntry, appendToTrail } from "../../mixins/audit-trail.store.ts";
import type { OnceRequest } from "../../mixins/idempotency.mixin.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import { NotCapturedError, RefundExceedsCapturedError } from "./payment.errors.ts";
import type { Traced } from "./payment.intents.ts";
import type { Payment } from "./payment.store.ts";
import { refundable } from "./payment.ts";
import {
  adoptRefunds,
  findPayment,
  insertRefunds,
  lockCaptured,
  lockPaymentsById,
  type NewRefund,
} from "./refund.store.ts";
import { savePayments } from "./settlement.store.ts";
import type { PaymentContext } from "./settlement.ts";

/** Giving money back: what is asked for is reserved under the payment's lock; a worker does it at the provider. */

type Refund = Actions["payment.refund"];

export interface RefundContext extends PaymentContext {
  readonly once: (
    tx: Tx,
    requests: readonly OnceRequest<NewRefund>[],
    perform: (works: readonly NewRefund[]) => Promise<void>,
  ) => Promise<(IdempotentAnswer<unknown> | Error)[]>;
  readonly wakeWorker: () => void;
}

/** A batch in which any request is refused fails as a whole: the batcher then runs each alone. */
export async function requestRefunds(
  context: RefundContext,
  items: readonly Traced<Refund["params"]>[],
): Promise<(Refund["result"] | Error)[]> {
  const requests = await Promise.all(items.map((item) => requestOf(context, item)));
  const answers = await withTransaction(context.database, (tx) => {
    tx.afterCommit(context.wakeWorker);
    return context.once(tx, requests, async (refunds) => {
      await reserveRefunds(tx, refunds);
      appendToTrail(tx, refunds.map(entryOf));
    });
  });
  return answers as (Refund["result"] | Error)[];
}

/** The answer is stored under its key before the rules are checked; a refusal takes both back. */
async function requestOf(
  { database }: RefundContext,
  { params, correlationId }: Traced<Refund["params"]>,
): Promise<OnceRequest<NewRefund>> {
  const { paymentId, reason, idempotency: claim } = params;
  const actor = claim.subject;
  const amountMinor = params.amountMinor ?? (await allOf(database, paymentId));
  const work = { id: uuidv7(), attemptId: uuidv7(), paymentId, amountMinor, reason, correlationId, actor };
  const body = { refundId: work.id, paymentId, amountMinor, status: "processing" };
  return { claim, work, answer: { status: 202, headers: {}, body } };
}

function entryOf({
  id,
  paymentId,
  amountMinor,
  reason,
  correlationId,
  actor = "saga",
}: NewRefund): AuditEntry {
  const detail = { refundId: id, amountMinor, reason };
  return { actor, action: "payment.refund", target: `payment ${paymentId}`, detail, correlationId };
}

async function allOf(database: RefundContext["database"], paymentId: string): Promise<number> {
  const payment = await findPayment(database, paymentId);
  return payment ? refundable(payment) : 0;
}

/** @throws PAYMENT_NOT_FOUND, PAYMENT_NOT_CAPTURED, REFUND_EXCEEDS_CAPTURED */
async function reserveRefunds(tx: Tx, refunds: readonly NewRefund[]): Promise<void> {
  const payments = new Map(
    await lockPaymentsById(
      tx,
      refunds.map(({ paymentId }) => paymentId),
    ),
  );
  for (const { paymentId, amountMinor } of refunds) {
    const payment = payments.get(paymentId);
    if (!payment) throw new NotFoundError("payment", paymentId);
    if (payment.capturedMinor === 0) throw new NotCapturedError(paymentId);
    const left = refundable(payment);
    if (amountMinor <= 0 || amountMinor > left)
      throw new RefundExceedsCapturedError(paymentId, amountMinor, left);
    payments.set(paymentId, { ...payment, refundingMinor: payment.refundingMinor + amountMinor });
  }
  savePayments(tx, [...payments.values()]);
  insertRefunds(tx, refunds);
}

export interface RefundCommand {
  readonly data: EventData["REFUND_PAYMENT"];
  readonly correlationId: string;
  readonly causationId: string;
}

/**
 * Gives back all that an order's payment still holds, for its cancellation. Refunds that are on their way are
 * waited for as well. Where nothing is left to wait for, that is told at once.
 */
export async function refundOrders(tx: Tx, commands: readonly RefundCommand[]): Promise<NewEvent[]> {
  const payments = await lockCaptured(
    tx,
    commands.map(({ data }) => data.orderId),
  );
  const refunds: NewRefund[] = [];
  const adopted: { paymentId: string; sagaId: string }[] = [];
  const told: NewEvent[] = [];
  for (const command of commands) {
    const { orderId, sagaId, reason } = command.data;
    const payment = payments.get(orderId);
    const amountMinor = payment ? refundable(payment) : 0;
    if (payment && payment.refundingMinor > 0) adopted.push({ paymentId: payment.id, sagaId });
    if (payment && amountMinor > 0) {
      const ids = { id: uuidv7(), attemptId: uuidv7(), paymentId: payment.id };
      refunds.push({ ...ids, amountMinor, reason, correlationId: command.correlationId, sagaId });
      payments.set(orderId, { ...payment, refundingMinor: payment.refundingMinor + amountMinor });
    } else if (!payment || payment.refundingMinor === 0) {
      const event = nothingLeft(command, payment);
      told.push(event);
      if (payment) payments.set(orderId, { ...payment, eventVersion: event.aggregateVersion });
    }
  }
  adoptRefunds(tx, adopted);
  insertRefunds(tx, refunds);
  savePayments(tx, [...payments.values()]);
  return told;
}

function nothingLeft(command: RefundCommand, payment: Payment | undefined): NewEvent<"PAYMENT_REFUNDED"> {
  const { data, correlationId, causationId } = command;
  const { orderId, sagaId } = data;
  return {
    type: "PAYMENT_REFUNDED",
    // An order that was never paid has no payment to tell of: the command's own id stands for it.
    aggregateId: payment?.id ?? causationId,
    aggregateVersion: (payment?.eventVersion ?? 0) + 1,
    correlationId,
    causationId,
    data: {
      ...(payment && { paymentId: payment.id }),
      orderId,
      sagaId,
      amountMinor: 0,
      currency: payment?.currency ?? "",
    },
  };
}
