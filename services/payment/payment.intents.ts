import { v7 as uuidv7 } from "uuid";
import type { Actions } from "../../lib/contracts.ts";
import { type Tx, withTransaction } from "../../lib/database.ts";
import { StateConflictError } from "../../lib/errors.ts";
import { log } from "../../lib/logging.ts";
import {
  leaveBarrier,
  passBarrier,
  storeReplies,
  TccCancelRefusedError,
  TccConfirmRefusedError,
  type TccOp,
  type Verdict,
} from "../../mixins/tcc-barrier.store.ts";
import { AlreadyCapturedError, PaymentDeclinedError } from "./payment.errors.ts";
import {
  type Asked,
  capturedOrders,
  insertAttempts,
  insertPayments,
  type LockedPayment,
  latestAttempts,
  lockPayments,
  type NewAttempt,
  type Payment,
  setIntent,
} from "./payment.store.ts";
import type { Operation, ProviderRequest } from "./psp/port.ts";
import { BRANCH, type PaymentContext, type StoredReply } from "./settlement.ts";

/**
 * The first half of each TCC operation: barrier row, intent and attempt commit, before the provider is asked.
 * The barrier's reply comes with the outcome, in a later transaction; a repetition that finds no reply yet goes
 * on with the attempt that is there. That is why the mixin's `participate`, which answers in the transaction it
 * runs in, does not fit here, and the barrier's store is used itself.
 */

export interface Traced<Params> {
  readonly params: Params;
  readonly correlationId: string;
}

/** What is left to do: nothing, or to ask the provider. */
export type Step =
  | { readonly reply: StoredReply }
  | { readonly request: ProviderRequest; readonly askedBefore: boolean };

export interface IntentContext extends PaymentContext {
  readonly provider: string;
  readonly holdSeconds: number;
}

type Tried = Traced<Actions["payment.try"]["params"]>;
type Decided = Traced<{ readonly gid: string }>;
type Steps = Map<string, Step | Error>;

/** An attempt as the provider is asked about it. */
export function requestOf(
  payment: Payment,
  attempt: Pick<NewAttempt, "id" | "operation" | "amountMinor">,
): ProviderRequest {
  const { authorisationId: id, orderId, amountMinor, currency, paymentMethod, providerReference } = payment;
  const reference = providerReference ?? undefined;
  const { id: attemptId, operation } = attempt;
  const authorisation = { id, orderId, amountMinor, currency, paymentMethod, reference };
  return { operation, attemptId, amountMinor: attempt.amountMinor, authorisation };
}

const OPERATION: Readonly<Record<TccOp, Operation>> = {
  try: "authorise",
  confirm: "capture",
  cancel: "void",
};

/** Frames a batch: each transaction once, in one order for all, answers in the order asked. */
async function inBatch<Item extends Decided>(
  { database }: IntentContext,
  op: TccOp,
  items: readonly Item[],
  run: (tx: Tx, first: ReadonlyMap<string, Item>, gids: readonly string[]) => Promise<BatchOf>,
): Promise<(Step | Error)[]> {
  const first = new Map([...items].reverse().map((item) => [item.params.gid, item]));
  const gids = [...first.keys()].sort();
  return withTransaction(database, async (tx) => {
    const { verdicts, steps } = await run(tx, first, gids);
    for (const [gid, verdict] of verdicts) {
      if (verdict.kind === "refused") steps.set(gid, verdict.error);
      // Nothing is stored before the outcome is known.
      if (verdict.kind === "repeated" && verdict.reply !== null)
        steps.set(gid, { reply: verdict.reply as StoredReply });
    }
    const refused = gids.filter((gid) => steps.get(gid) instanceof Error);
    leaveBarrier(
      tx,
      BRANCH,
      op,
      refused.filter((gid) => verdicts.get(gid)?.kind !== "repeated"),
    );
    return items.map(({ params }) => steps.get(params.gid) ?? new Error("a transaction was lost"));
  });
}

interface BatchOf {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  readonly steps: Steps;
}

/** Transactions whose operation is under way or was broken off: with the attempt that stands for it. */
async function resumed(
  tx: Tx,
  op: TccOp,
  verdicts: ReadonlyMap<string, Verdict>,
): Promise<ReadonlyMap<string, Asked>> {
  const open = [...verdicts].flatMap(([gid, verdict]) =>
    verdict.kind === "repeated" && verdict.reply === null ? [gid] : [],
  );
  return latestAttempts(tx, open, OPERATION[op]);
}

function resume({ payment, attempt }: Asked): Step {
  return { request: requestOf(payment, attempt), askedBefore: true };
}

export function intendToAuthorise(
  context: IntentContext,
  items: readonly Tried[],
): Promise<(Step | Error)[]> {
  return inBatch(context, "try", items, async (tx, first, gids) => {
    const orderIds = [...first.values()].map(({ params }) => params.orderId);
    const [verdicts, captured] = await Promise.all([
      passBarrier(tx, BRANCH, "try", gids),
      capturedOrders(tx, orderIds),
    ]);
    const steps: Steps = new Map();
    const payments: (Payment & { customerId: string })[] = [];
    const attempts: NewAttempt[] = [];
    for (const [gid, { params, correlationId }] of first) {
      if (verdicts.get(gid)?.kind !== "run") continue;
      if (captured.has(params.orderId)) {
        steps.set(gid, new AlreadyCapturedError(params.orderId));
        continue;
      }
      const payment = newPayment(params);
      const { id: paymentId, authorisationId: id, amountMinor } = payment;
      const attempt = { id, paymentId, operation: "authorise", amountMinor, correlationId } as const;
      payments.push(payment);
      attempts.push(attempt);
      steps.set(gid, { request: requestOf(payment, attempt), askedBefore: false });
    }
    insertPayments(tx, payments, context.provider, context.holdSeconds);
    insertAttempts(tx, attempts);
    for (const [gid, asked] of await resumed(tx, "try", verdicts)) steps.set(gid, resume(asked));
    return { verdicts, steps };
  });
}

function newPayment(params: Tried["params"]): Payment & { customerId: string } {
  return {
    ...params,
    id: uuidv7(),
    authorisationId: uuidv7(),
    status: "initiated",
    intent: null,
    held: true,
    capturedMinor: 0,
    refundedMinor: 0,
    refundingMinor: 0,
    providerReference: null,
    errorCode: null,
    eventVersion: 0,
  };
}

export function intendToCapture(
  context: IntentContext,
  items: readonly Decided[],
): Promise<(Step | Error)[]> {
  return inBatch(context, "confirm", items, async (tx, first, gids) => {
    const [verdicts, payments] = await Promise.all([
      passBarrier(tx, BRANCH, "confirm", gids),
      lockPayments(tx, gids),
    ]);
    const steps: Steps = new Map();
    const capturing: Payment[] = [];
    const attempts: NewAttempt[] = [];
    for (const [gid, { correlationId }] of first) {
      const payment = payments.get(gid);
      const verdict = verdicts.get(gid);
      const refusal =
        verdict?.kind === "refused"
          ? verdict.error
          : verdict?.kind === "run"
            ? captureRefusal(gid, payment)
            : undefined;
      if (refusal && !(refusal instanceof PaymentDeclinedError))
        alarm(context, first.get(gid), payment, refusal);
      if (refusal) steps.set(gid, refusal);
      if (refusal || !payment || verdict?.kind !== "run") continue;
      const { id: paymentId, amountMinor } = payment;
      const attempt = { id: uuidv7(), paymentId, operation: "capture", amountMinor, correlationId } as const;
      capturing.push(payment);
      attempts.push(attempt);
      steps.set(gid, { request: requestOf(payment, attempt), askedBefore: false });
    }
    setIntent(
      tx,
      capturing.map(({ id }) => id),
      "capture",
    );
    insertAttempts(tx, attempts);
    for (const [gid, asked] of await resumed(tx, "confirm", verdicts)) steps.set(gid, resume(asked));
    return { verdicts, steps };
  });
}

function captureRefusal(
  gid: string,
  payment: LockedPayment | undefined,
): StateConflictError | PaymentDeclinedError | undefined {
  if (!payment) return new TccConfirmRefusedError(gid, BRANCH, "TCC_NOT_TRIED");
  const { id, orderId, status, intent, held, orderTaken, errorCode } = payment;
  if (intent === "void") return new TccConfirmRefusedError(gid, BRANCH, "TCC_CONFIRM_AFTER_CANCEL");
  // Its capture was declined, and the answer may have been lost on the way.
  if (status === "failed" && held) return new PaymentDeclinedError(id, errorCode ?? "DECLINED");
  if (status === "reserved" && orderTaken) return new AlreadyCapturedError(orderId);
  if (status === "reserved") return undefined;
  const message = `A payment that is ${status} cannot be captured.`;
  return new StateConflictError(message, "PAYMENT_STATE_CONFLICT", { paymentId: id, status });
}

function alarm(
  { logger }: IntentContext,
  item: Decided | undefined,
  payment: Payment | undefined,
  err: StateConflictError,
) {
  const subject = { correlationId: item?.correlationId, orderId: payment?.orderId };
  log(logger, subject).error("a decided confirm was refused", {
    gid: item?.params.gid,
    paymentId: payment?.id,
    code: err.type,
  });
}

export function intendToVoid(context: IntentContext, items: readonly Decided[]): Promise<(Step | Error)[]> {
  return inBatch(context, "cancel", items, async (tx, first, gids) => {
    const verdicts = await passBarrier(tx, BRANCH, "cancel", gids);
    const payments = await lockPayments(tx, gids);
    const before = await resumed(tx, "cancel", verdicts);
    const steps: Steps = new Map();
    const voiding: Payment[] = [];
    const attempts: NewAttempt[] = [];
    const replies: { gid: string; reply: StoredReply }[] = [];
    for (const [gid, { correlationId }] of first) {
      const verdict = verdicts.get(gid);
      const payment = payments.get(gid);
      const asked = before.get(gid);
      const isOpen = verdict?.kind === "repeated" && verdict.reply === null;
      if (asked && asked.attempt.status !== "declined") steps.set(gid, resume(asked));
      else if (verdict?.kind === "empty" || verdict?.kind === "run" || isOpen) {
        if (payment?.intent === "capture") {
          steps.set(gid, new TccCancelRefusedError(gid, BRANCH));
        } else if (payment?.held) {
          const { id: paymentId, amountMinor } = payment;
          const attempt = { id: uuidv7(), paymentId, operation: "void", amountMinor, correlationId } as const;
          voiding.push(payment);
          attempts.push(attempt);
          steps.set(gid, { request: requestOf(payment, attempt), askedBefore: false });
        } else {
          // Never tried, or refused by the provider: nothing is held, so nothing is to be undone.
          const reply = payment ? { paymentId: payment.id, status: payment.status } : EMPTY;
          replies.push({ gid, reply });
          steps.set(gid, { reply });
        }
      }
    }
    setIntent(
      tx,
      voiding.map(({ id }) => id),
      "void",
    );
    insertAttempts(tx, attempts);
    storeReplies(tx, BRANCH, "cancel", replies);
    return { verdicts, steps };
  });
}

const EMPTY: StoredReply = { status: "voided" };
