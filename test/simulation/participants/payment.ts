import type { Actions } from "../../../lib/actions.ts";
import {
  leaveBarrier,
  passBarrier,
  TccCancelRefusedError,
  TccConfirmRefusedError,
  TccHangingError,
  type TccOp,
  type Verdict,
} from "../../../mixins/tcc-barrier.store.ts";
import {
  AlreadyCapturedError,
  PaymentDeclinedError,
  PaymentUnknownError,
  VoidRefusedError,
} from "../../../services/payment/payment.errors.ts";
import {
  type AttemptState,
  isFinal,
  type PaymentState,
  refundable,
  settle,
} from "../../../services/payment/payment.ts";
import type { Operation, ProviderRequest, ProviderResult } from "../../../services/payment/psp/port.ts";
import type { BusEvent } from "../model-bus.ts";
import type { Process, Scheduler } from "../scheduler.ts";
import { BarrierTable } from "./barrier.ts";
import type { ModelProvider } from "./provider.ts";
import { askProvider } from "./provider-calls.ts";

/**
 * The payment service by its contract: each operation is intent, question and outcome, with the provider, and a
 * possible crash, between them. Barrier and settlement are the production code.
 */

export interface ModelPayment extends PaymentState {
  readonly id: string;
  readonly gid: string;
  readonly orderId: string;
  readonly paymentMethod: string;
  readonly currency: string;
}

interface Attempt extends AttemptState {
  readonly id: string;
  readonly gid: string;
  readonly sagaId?: string;
}

export interface PaymentOptions {
  readonly provider: ModelProvider;
  /** Which replica works on something: its crash loses the rest of it. */
  readonly replica: () => Process;
  readonly holdMs: number;
  readonly barrierIsOff: boolean;
  /** Mutation: asks the provider anew, under a new key, instead of looking up what became of an attempt. */
  readonly guesses: boolean;
  readonly tell: (events: readonly BusEvent[]) => void;
  readonly onTcc: (op: TccOp, gid: string) => void;
}

type Reply = { readonly paymentId?: string; readonly status: string };
const OPERATION = { try: "authorise", confirm: "capture", cancel: "void" } as const;
const RETRY_MS = 8_000;

export class Payments {
  readonly payments = new Map<string, ModelPayment>();
  private readonly attempts: Attempt[] = [];
  private readonly barrier = new BarrierTable();
  private readonly inbox = new Set<string>();
  private readonly worked = new Set<string>();
  private readonly scheduler: Scheduler;
  private readonly options: PaymentOptions;
  private told = 0;

  constructor(scheduler: Scheduler, options: PaymentOptions) {
    this.scheduler = scheduler;
    this.options = options;
  }

  /** Refunds, and voids of what came too late: nobody waits for them. */
  hasWork(): boolean {
    return [...this.worked].some((id) => !isFinal(this.current(id).status));
  }

  async try(params: Actions["payment.try"]["params"]): Promise<Reply> {
    const { gid, orderId, amountMinor, currency, paymentMethod } = params;
    const verdict = await this.pass("try", gid);
    if (verdict.kind !== "run") return this.resume("try", gid, verdict);
    if (
      this.ofOrder(orderId).some(({ intent, capturedMinor }) => intent === "capture" && capturedMinor > 0)
    ) {
      leaveBarrier(this.barrier, "payment", "try", [gid]);
      throw new AlreadyCapturedError(orderId);
    }
    const money = { amountMinor, capturedMinor: 0, refundedMinor: 0, refundingMinor: 0 };
    const about = { id: `payment ${gid}`, gid, orderId, paymentMethod, currency };
    this.payments.set(gid, { ...about, ...money, status: "initiated", intent: null, held: true });
    this.expireLater(gid);
    return this.finish("try", this.attempt(gid, "authorise", amountMinor), false);
  }

  async confirm({ gid }: { gid: string }): Promise<Reply> {
    const verdict = await this.pass("confirm", gid);
    if (verdict.kind !== "run") return this.resume("confirm", gid, verdict);
    const payment = this.payments.get(gid);
    const refusal = this.captureRefusal(gid, payment);
    if (refusal || !payment) {
      leaveBarrier(this.barrier, "payment", "confirm", [gid]);
      throw refusal;
    }
    this.payments.set(gid, { ...payment, intent: "capture" });
    return this.finish("confirm", this.attempt(gid, "capture", payment.amountMinor), false);
  }

  async cancel({ gid }: { gid: string }): Promise<Reply> {
    const verdict = await this.pass("cancel", gid);
    if (verdict.kind === "refused") throw verdict.error;
    const payment = this.payments.get(gid);
    const before = this.latest(gid, "void");
    if (before && before.status !== "declined") return this.resume("cancel", gid, verdict);
    if (payment?.intent === "capture") {
      leaveBarrier(this.barrier, "payment", "cancel", [gid]);
      throw new TccCancelRefusedError(gid, "payment");
    }
    this.options.onTcc("cancel", gid);
    if (!payment?.held) return { status: payment?.status ?? "voided" };
    this.payments.set(gid, { ...payment, intent: "void" });
    return this.finish("cancel", this.attempt(gid, "void", payment.amountMinor), false);
  }

  /** REFUND_PAYMENT: all that an order's payment still holds. */
  async receive(events: readonly BusEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type !== "REFUND_PAYMENT" || this.inbox.has(event.eventId)) continue;
      this.inbox.add(event.eventId);
      const { orderId, sagaId } = event.data as { orderId: string; sagaId: string };
      const payment = this.ofOrder(orderId).find(({ capturedMinor }) => capturedMinor > 0);
      const amountMinor = payment ? refundable(payment) : 0;
      if (payment && amountMinor > 0) {
        this.payments.set(payment.gid, { ...payment, refundingMinor: payment.refundingMinor + amountMinor });
        this.work(this.attempt(payment.gid, "refund", amountMinor, sagaId), false);
      } else if (!payment || payment.refundingMinor === 0) {
        this.tellRefunded(orderId, sagaId, 0);
      }
    }
  }

  private async pass(op: TccOp, gid: string): Promise<Verdict> {
    if (this.options.barrierIsOff) {
      const isKnown = op === "try" && this.payments.has(gid);
      return isKnown ? { kind: "repeated", reply: null } : { kind: "run" };
    }
    const verdict = (await passBarrier(this.barrier, "payment", op, [gid])).get(gid);
    if (!verdict) throw new TypeError("the barrier lost a transaction");
    return verdict;
  }

  private captureRefusal(gid: string, payment: ModelPayment | undefined): Error | undefined {
    if (!payment) return new TccConfirmRefusedError(gid, "payment", "TCC_NOT_TRIED");
    const { id, orderId, status, intent, held } = payment;
    if (intent === "void") return new TccConfirmRefusedError(gid, "payment", "TCC_CONFIRM_AFTER_CANCEL");
    if (status === "failed" && held) return new PaymentDeclinedError(id, "DECLINED");
    const taken = this.ofOrder(orderId).some((other) => other.intent === "capture" && other.gid !== gid);
    if (status !== "reserved" || taken) return new AlreadyCapturedError(orderId);
    return undefined;
  }

  /** An operation that was begun before: its answer, or the question once more. */
  private resume(op: TccOp, gid: string, verdict: Verdict): Promise<Reply> {
    if (verdict.kind === "refused") throw verdict.error;
    const attempt = this.latest(gid, OPERATION[op]);
    const payment = this.payments.get(gid);
    if (!attempt || !payment) return Promise.resolve({ status: "voided" });
    if (isFinal(attempt.status)) return Promise.resolve(this.outcomeOf(op, attempt));
    return this.finish(op, attempt, true);
  }

  private finish(op: TccOp, attempt: Attempt, askedBefore: boolean): Promise<Reply> {
    const replica = this.options.replica();
    return new Promise((resolve, reject) => {
      this.ask(attempt, askedBefore, replica, (result) => {
        this.settle(attempt.id, result);
        try {
          resolve(this.outcomeOf(op, this.current(attempt.id)));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** What nobody waits for: asked until the answer is known, by whichever replica is there. */
  private work(attempt: Attempt, askedBefore: boolean): void {
    this.worked.add(attempt.id);
    this.ask(attempt, askedBefore, this.options.replica(), (result) => this.settle(attempt.id, result));
    this.scheduler.post("payment worker", RETRY_MS, () => {
      if (!isFinal(this.current(attempt.id).status)) this.work(attempt, true);
    });
  }

  private ask(
    attempt: Attempt,
    askedBefore: boolean,
    replica: Process,
    then: (result: ProviderResult) => void,
  ): void {
    const { provider, guesses } = this.options;
    const request = this.requestOf(attempt);
    const desk = { scheduler: this.scheduler, provider, replica };
    if (guesses && askedBefore)
      askProvider(desk, { ...request, attemptId: `${request.attemptId} again` }, false, then);
    else askProvider(desk, request, askedBefore, then);
  }

  private settle(attemptId: string, result: ProviderResult): void {
    const index = this.attempts.findIndex(({ id }) => id === attemptId);
    const attempt = this.attempts[index] as Attempt;
    const payment = this.payments.get(attempt.gid) as ModelPayment;
    const settlement = settle(payment, attempt, result);
    this.attempts[index] = { ...attempt, ...settlement.attempt };
    this.payments.set(attempt.gid, { ...payment, ...settlement.payment });
    if (settlement.effect === "captured") this.options.onTcc("confirm", attempt.gid);
    if (settlement.releaseAgain) this.work(this.attempt(attempt.gid, "void", attempt.amountMinor), false);
    if (settlement.effect === "refunded" && attempt.sagaId) {
      this.tellRefunded(payment.orderId, attempt.sagaId, attempt.amountMinor);
    }
    const isRefused = attempt.operation === "capture" && settlement.attempt.status === "declined";
    if (isRefused) leaveBarrier(this.barrier, "payment", "confirm", [attempt.gid]);
  }

  private outcomeOf(op: TccOp, { gid, status: outcome, errorCode }: Attempt): Reply {
    const { id, status, intent } = this.payments.get(gid) as ModelPayment;
    if (op === "try" && intent === "void") throw new TccHangingError(gid, "payment");
    const code = errorCode ?? "UNKNOWN";
    if (outcome === "declined") {
      throw op === "cancel" ? new VoidRefusedError(id, code) : new PaymentDeclinedError(id, code);
    }
    if (outcome !== "succeeded") throw new PaymentUnknownError(id, code);
    return { paymentId: id, status };
  }

  private expireLater(gid: string): void {
    this.scheduler.post("payment expiry", this.options.holdMs, () => {
      const payment = this.payments.get(gid);
      if (!payment?.held || payment.intent === "capture") return undefined;
      this.expireLater(gid);
      return this.cancel({ gid }).then(
        () => undefined,
        () => undefined,
      );
    });
  }

  private tellRefunded(orderId: string, sagaId: string, amountMinor: number): void {
    this.told += 1;
    const eventId = `refund ${this.told}`;
    const data = { orderId, sagaId, amountMinor, currency: "EUR" };
    this.options.tell([{ eventId, aggregateId: orderId, type: "PAYMENT_REFUNDED", data }]);
  }

  private attempt(gid: string, operation: Operation, amountMinor: number, sagaId?: string): Attempt {
    const id = `${operation} ${gid} ${this.attempts.length}`;
    const attempt: Attempt = { id, gid, operation, status: "pending", amountMinor, errorCode: null, sagaId };
    this.attempts.push(attempt);
    return attempt;
  }

  private current(id: string): Attempt {
    return this.attempts.find((one) => one.id === id) as Attempt;
  }

  private latest(gid: string, operation: Operation): Attempt | undefined {
    return this.attempts.findLast((one) => one.gid === gid && one.operation === operation);
  }

  private ofOrder(orderId: string): ModelPayment[] {
    return [...this.payments.values()].filter((payment) => payment.orderId === orderId);
  }

  private requestOf({ id: attemptId, gid, operation, amountMinor }: Attempt): ProviderRequest {
    const {
      id: paymentId,
      orderId,
      currency,
      paymentMethod,
      amountMinor: whole,
    } = this.payments.get(gid) as ModelPayment;
    const authorisation = { id: paymentId, orderId, amountMinor: whole, currency, paymentMethod };
    return { operation, attemptId, amountMinor, authorisation };
  }
}
