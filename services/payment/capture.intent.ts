import { StateConflictError } from "../../lib/errors.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { log } from "../../lib/logging.ts";
import { passBarrier, TccConfirmRefusedError } from "../../mixins/tcc-barrier.store.ts";
import { BRANCH } from "./branch.ts";
import { AlreadyCapturedError, PaymentDeclinedError } from "./payment.errors.ts";
import {
  type Decided,
  type IntentContext,
  inBatch,
  requestOf,
  resume,
  resumed,
  type Step,
  type Steps,
} from "./payment.intents.ts";
import {
  insertAttempts,
  type LockedPayment,
  lockPayments,
  type NewAttempt,
  type Payment,
  setIntent,
} from "./payment.store.ts";

/** The confirm: from here on the payment can no longer be voided, until the provider refuses for certain. */

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
    for (const [gid, asked] of await resumed(tx, "confirm", verdicts))
      steps.set(gid, resume("confirm", asked));
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
