import type { Actions } from "../../lib/actions.ts";
import { type Tx, withTransaction } from "../../lib/database.ts";
import { leaveBarrier, type TccOp, type Verdict } from "../../mixins/tcc-barrier.store.ts";
import { BRANCH, type StoredReply } from "./branch.ts";
import { type Asked, latestAttempts, type NewAttempt, type Payment } from "./payment.store.ts";
import type { Operation, ProviderRequest } from "./psp/port.ts";
import type { PaymentContext } from "./settlement.ts";

/**
 * The first half of each TCC operation: barrier row, intent and attempt commit, before the provider is asked.
 * The reply comes with the outcome, in a later transaction, and the attempt keeps it: a repetition is answered from
 * the attempt that is there, or goes on with it. That is why the mixin's `participate`, which answers in the
 * transaction it runs in, does not fit here, and the barrier's store is used itself. The barrier's row is not written
 * again for the reply: two updates a payment less.
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

export type Tried = Traced<Actions["payment.try"]["params"]>;
export type Decided = Traced<{ readonly gid: string }>;
export type Steps = Map<string, Step | Error>;

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
export async function inBatch<Item extends Decided>(
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
    const entered = gids.filter((gid) => ["run", "empty"].includes(verdicts.get(gid)?.kind ?? ""));
    const failed = entered.filter((gid) => steps.get(gid) instanceof Error);
    leaveBarrier(tx, BRANCH, op, failed);
    return items.map(({ params }) => steps.get(params.gid) ?? new Error("a transaction was lost"));
  });
}

interface BatchOf {
  readonly verdicts: ReadonlyMap<string, Verdict>;
  readonly steps: Steps;
}

/** Transactions whose operation is under way or was broken off: with the attempt that stands for it. */
export async function resumed(
  tx: Tx,
  op: TccOp,
  verdicts: ReadonlyMap<string, Verdict>,
): Promise<ReadonlyMap<string, Asked>> {
  const open = [...verdicts].flatMap(([gid, verdict]) =>
    verdict.kind === "repeated" && verdict.reply === null ? [gid] : [],
  );
  return latestAttempts(tx, open, OPERATION[op]);
}

/** The answer that its attempt has had, or the question once more. */
export function resume(op: TccOp, asked: Asked): Step {
  const reply = replyOf(op, asked);
  return reply ? { reply } : { request: requestOf(asked.payment, asked.attempt), askedBefore: true };
}

/** What a finished operation is answered; undefined while it is open, and where it may come again. */
function replyOf(op: TccOp, { attempt, payment }: Asked): StoredReply | undefined {
  const { id: paymentId, status } = payment;
  const succeeded = attempt.status === "succeeded";
  if (op === "confirm" && attempt.operation === "capture" && succeeded)
    return { paymentId, status: "captured" };
  if (op === "cancel" && attempt.operation === "void" && succeeded) return { paymentId, status };
  if (op !== "try" || attempt.operation !== "authorise" || payment.intent === "void") return undefined;
  if (succeeded) return { paymentId, status: "reserved" };
  if (attempt.status !== "declined") return undefined;
  return { paymentId, status: "failed", errorCode: attempt.errorCode ?? "DECLINED" };
}
