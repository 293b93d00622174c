import { uuidv7 } from "../../lib/ids.ts";
import { passBarrier, storeReplies, TccCancelRefusedError } from "../../mixins/tcc-barrier.store.ts";
import { BRANCH, type StoredReply } from "./branch.ts";
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
import { insertAttempts, lockPayments, type NewAttempt, type Payment, setIntent } from "./payment.store.ts";

/** The cancel: from here on the payment can no longer be captured, whatever becomes of its authorisation. */

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
      if (asked && asked.attempt.status !== "declined") steps.set(gid, resume("cancel", asked));
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
