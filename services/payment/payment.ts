import type { PaymentStatus } from "../../lib/contracts.ts";
import type { Operation, ProviderResult } from "./psp/port.ts";

/** The payment aggregate: its legal moves as data, and what a provider's answer makes of it. Pure. */

export type PaymentMove = "reserve" | "refuse" | "capture" | "void" | "refundPart" | "refundAll";

const MOVES: Readonly<
  Record<PaymentMove, { readonly from: readonly PaymentStatus[]; readonly to: PaymentStatus }>
> = {
  reserve: { from: ["initiated"], to: "reserved" },
  // At the authorisation or at the capture.
  refuse: { from: ["initiated", "reserved"], to: "failed" },
  capture: { from: ["reserved"], to: "captured" },
  void: { from: ["initiated", "reserved"], to: "voided" },
  refundPart: { from: ["captured", "partially_refunded"], to: "partially_refunded" },
  refundAll: { from: ["captured", "partially_refunded"], to: "refunded" },
};

export function moveOf(move: PaymentMove): { from: readonly PaymentStatus[]; to: PaymentStatus } {
  return MOVES[move];
}

/** Where a move leads from a status; undefined when it is not legal. */
export function moved(status: PaymentStatus, move: PaymentMove): PaymentStatus | undefined {
  const { from, to } = MOVES[move];
  return from.includes(status) ? to : undefined;
}

/** What has been decided for the authorisation; the two exclude each other. */
export type Intent = "capture" | "void";

/** What of a payment an answer can change. */
export interface PaymentState {
  readonly status: PaymentStatus;
  readonly intent: Intent | null;
  /** The provider may hold money: to be captured or voided. */
  readonly held: boolean;
  readonly amountMinor: number;
  readonly capturedMinor: number;
  readonly refundedMinor: number;
  readonly refundingMinor: number;
}

export type AttemptStatus = "pending" | "succeeded" | "declined" | "unknown";

export interface AttemptState {
  readonly operation: Operation;
  readonly status: AttemptStatus;
  readonly amountMinor: number;
  readonly errorCode: string | null;
}

export interface Settlement {
  readonly attempt: AttemptState;
  readonly payment: PaymentState;
  /** Moves money, and is told. */
  readonly effect?: "reserved" | "failed" | "captured" | "refunded";
  /** Something came too late and holds money that nobody wants: to be voided again. */
  readonly releaseAgain?: true;
  /** A refund that was refused. */
  readonly refundFailed?: true;
  /** What cannot be, and somebody has to look at. */
  readonly alarm?: string;
}

export function isFinal(status: AttemptStatus): boolean {
  return status === "succeeded" || status === "declined";
}

/**
 * What a provider's answer makes of a payment. An answer that was taken before changes nothing, in whatever
 * order answers, repetitions and webhooks come.
 */
export function settle(payment: PaymentState, attempt: AttemptState, result: ProviderResult): Settlement {
  if (isFinal(attempt.status)) {
    const same = result.kind === "unknown" || result.kind === attempt.status;
    return {
      attempt,
      payment,
      ...(!same && { alarm: `it was ${attempt.status}, and is ${result.kind} now` }),
    };
  }
  if (result.kind === "unknown") {
    return { attempt: { ...attempt, status: "unknown", errorCode: result.code }, payment };
  }
  const errorCode = result.kind === "declined" ? told(result.code) : null;
  const answered: AttemptState = { ...attempt, status: result.kind, errorCode };
  const settlement = SETTLE[attempt.operation](payment, attempt.amountMinor, result.kind === "succeeded");
  return { attempt: answered, payment, ...settlement };
}

/** A provider's code as events may carry it: theirs must not stand in the way of ours. */
function told(code: string): string {
  return code.slice(0, 255) || "DECLINED";
}

type Settle = (payment: PaymentState, amountMinor: number, succeeded: boolean) => Partial<Settlement>;

const SETTLE: Readonly<Record<Operation, Settle>> = {
  authorise(payment, _amount, succeeded) {
    if (payment.intent === "void" || payment.status === "voided") {
      // The cancel came first. What was authorised all the same is let go again.
      return succeeded ? { payment: { ...payment, held: true }, releaseAgain: true } : {};
    }
    const status = moved(payment.status, succeeded ? "reserve" : "refuse");
    if (!status) return { alarm: `an authorisation of a payment that is ${payment.status}` };
    return { payment: { ...payment, status, held: succeeded }, effect: succeeded ? "reserved" : "failed" };
  },
  capture(payment, amountMinor, succeeded) {
    const status = moved(payment.status, succeeded ? "capture" : "refuse");
    if (!status) return { alarm: `a capture of a payment that is ${payment.status}` };
    // After a refusal the authorisation stands: the cancel that follows lets it go.
    if (!succeeded) return { payment: { ...payment, status, intent: null }, effect: "failed" };
    return { payment: { ...payment, status, held: false, capturedMinor: amountMinor }, effect: "captured" };
  },
  void(payment, _amount, succeeded) {
    if (!succeeded) return { alarm: "the provider refuses to void" };
    // A payment that failed stays failed: only its hold is gone.
    const status = moved(payment.status, "void") ?? payment.status;
    return { payment: { ...payment, status, held: false } };
  },
  refund(payment, amountMinor, succeeded) {
    const refundingMinor = payment.refundingMinor - amountMinor;
    if (!succeeded) return { payment: { ...payment, refundingMinor }, refundFailed: true };
    const refundedMinor = payment.refundedMinor + amountMinor;
    const status = moved(
      payment.status,
      refundedMinor === payment.capturedMinor ? "refundAll" : "refundPart",
    );
    if (!status) return { alarm: `a refund of a payment that is ${payment.status}` };
    return { payment: { ...payment, status, refundingMinor, refundedMinor }, effect: "refunded" };
  },
};

/** What may still be given back. */
export function refundable({ capturedMinor, refundedMinor, refundingMinor }: PaymentState): number {
  return capturedMinor - refundedMinor - refundingMinor;
}
