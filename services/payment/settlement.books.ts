import type { Logger } from "moleculer";
import type { Tx } from "../../lib/database.ts";
import type { EventData } from "../../lib/events.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { log } from "../../lib/logging.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import { leaveBarrier } from "../../mixins/tcc-barrier.store.ts";
import { BRANCH } from "./branch.ts";
import { type LedgerEntry, postingOf } from "./ledger.ts";
import { type Asked, type Attempt, insertAttempts, type NewAttempt, type Payment } from "./payment.store.ts";
import { type AttemptStatus, type Settlement, settle } from "./payment.ts";
import type { Operation, ProviderResult } from "./psp/port.ts";
import {
  type EndedRefund,
  endAuthorisations,
  endRefunds,
  postEntries,
  type SavedAttempt,
  saveAttempts,
  savePayments,
} from "./settlement.store.ts";

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;

/** When the worker asks again, after this many tries. */
export function retryDelayMs(tries: number): number {
  return Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(tries, 10));
}

export interface Answered {
  readonly attemptId: string;
  readonly result: ProviderResult;
}

interface Notable {
  readonly attempt: Attempt;
  readonly payment: Payment;
  readonly settlement: Settlement;
}

/** What a batch of answers changes, gathered before it is written. */
export class Books {
  readonly events: NewEvent[] = [];
  private readonly asked: ReadonlyMap<string, Asked>;
  private readonly sagas: ReadonlyMap<string, string | null>;
  private readonly payments = new Map<string, Payment>();
  private readonly attempts = new Map<string, SavedAttempt>();
  private readonly entries: LedgerEntry[] = [];
  private readonly refunds: EndedRefund[] = [];
  private readonly newAttempts: NewAttempt[] = [];
  private readonly notable: Notable[] = [];

  constructor(asked: ReadonlyMap<string, Asked>, sagas: ReadonlyMap<string, string | null>) {
    this.asked = asked;
    this.sagas = sagas;
  }

  enter({ attemptId, result }: Answered): Asked | Error {
    const row = this.asked.get(attemptId);
    if (!row) return new Error(`no such attempt: ${attemptId}`);
    const payment = this.payments.get(row.payment.id) ?? row.payment;
    const attempt: Attempt = this.attempts.get(attemptId) ?? row.attempt;
    const settlement = settle(payment, attempt, result);
    const reference = result.kind === "succeeded" ? result.reference : undefined;
    const nextAttempt = { ...attempt, ...settlement.attempt };
    let next: Payment = { ...payment, ...settlement.payment };
    if (settlement.effect) next = this.effect(settlement.effect, next, nextAttempt, reference);
    if (settlement.releaseAgain) this.release(next, attempt);
    if (settlement.refundFailed) next = this.refundFailed(next, attempt);
    if (settlement.alarm || settlement.effect)
      this.notable.push({ attempt: nextAttempt, payment: next, settlement });
    if (settlement.payment !== payment) this.payments.set(next.id, next);
    if (settlement.attempt !== attempt) {
      this.attempts.set(attemptId, { ...nextAttempt, reference, delayMs: retryDelayMs(attempt.tries) });
    }
    return { payment: next, attempt: nextAttempt };
  }

  private effect(
    effect: NonNullable<Settlement["effect"]>,
    payment: Payment,
    attempt: Attempt,
    reference: string | undefined,
  ): Payment {
    const { id: paymentId, orderId, currency } = payment;
    const { id: attemptId, amountMinor } = attempt;
    const refundId = attempt.refundId ?? undefined;
    const about = { paymentId, orderId, amountMinor, currency };
    if (effect === "captured" || effect === "refunded") {
      const operation = effect === "captured" ? "capture" : "refund";
      this.entries.push(...postingOf({ operation, attemptId, paymentId, refundId, amountMinor, currency }));
    }
    if (effect === "reserved") {
      const held = { ...payment, providerReference: reference ?? payment.providerReference };
      return this.event(held, attempt, "PAYMENT_RESERVED", about);
    }
    if (effect === "captured") return this.event(payment, attempt, "PAYMENT_COMPLETED", about);
    if (effect === "refunded") {
      if (refundId) this.refunds.push({ id: refundId, status: "succeeded" });
      // The cancellation waits for all of the money: only the last refund tells it so.
      const sagaId = payment.refundingMinor === 0 ? this.sagas.get(refundId ?? "") : undefined;
      return this.event(payment, attempt, "PAYMENT_REFUNDED", {
        ...about,
        refundId,
        ...(sagaId && { sagaId }),
      });
    }
    const errorCode = attempt.errorCode ?? "DECLINED";
    const reason = `The provider refused to ${attempt.operation}.`;
    return this.event({ ...payment, errorCode }, attempt, "PAYMENT_FAILED", {
      paymentId,
      orderId,
      reason,
      errorCode,
    });
  }

  private event<Type extends keyof EventData>(
    payment: Payment,
    { correlationId }: Attempt,
    type: Type,
    data: EventData[Type],
  ): Payment {
    const eventVersion = payment.eventVersion + 1;
    this.events.push({ type, aggregateId: payment.id, aggregateVersion: eventVersion, correlationId, data });
    return { ...payment, eventVersion };
  }

  private release(payment: Payment, { correlationId }: Attempt): void {
    const { id: paymentId, amountMinor } = payment;
    this.newAttempts.push({
      id: uuidv7(),
      paymentId,
      operation: "void",
      amountMinor,
      correlationId,
      delayMs: 0,
    });
  }

  private refundFailed(payment: Payment, attempt: Attempt): Payment {
    const refundId = attempt.refundId ?? "";
    const { correlationId, amountMinor, paymentId } = attempt;
    if (!this.sagas.get(refundId)) {
      this.refunds.push({ id: refundId, status: "failed" });
      return payment;
    }
    // A cancellation is past its point of no return: it is asked again, under a new key, until the money is back.
    const delayMs = RETRY_MAX_MS;
    this.newAttempts.push({
      id: uuidv7(),
      paymentId,
      operation: "refund",
      amountMinor,
      correlationId,
      refundId,
      delayMs,
    });
    return { ...payment, refundingMinor: payment.refundingMinor + amountMinor };
  }

  write(tx: Tx): void {
    saveAttempts(tx, [...this.attempts.values()]);
    savePayments(tx, [...this.payments.values()]);
    postEntries(tx, this.entries);
    endRefunds(tx, this.refunds);
    insertAttempts(tx, this.newAttempts);
    const ended = (wanted: Operation, as: AttemptStatus) =>
      [...this.attempts.values()].filter(({ operation, status }) => operation === wanted && status === as);
    endAuthorisations(
      tx,
      ended("void", "succeeded").map(({ paymentId }) => paymentId),
    );
    // A refused capture must not stand in the way of the cancel that follows it.
    const refused = ended("capture", "declined");
    leaveBarrier(
      tx,
      BRANCH,
      "confirm",
      refused.flatMap(({ id }) => this.asked.get(id)?.payment.gid ?? []),
    );
  }

  report(logger: Logger): void {
    for (const { attempt, payment, settlement } of this.notable) {
      const { correlationId, operation, id: attemptId, errorCode } = attempt;
      const line = log(logger, { correlationId, orderId: payment.orderId });
      const about = { paymentId: payment.id, attemptId, operation };
      if (settlement.alarm) line.error(`payment: ${settlement.alarm}`, { ...about, code: errorCode });
      else line.info(`payment ${settlement.effect}`, { ...about, ...(errorCode && { code: errorCode }) });
    }
  }
}
