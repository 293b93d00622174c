import type { Actions } from "../../lib/actions.ts";
import { createBatcher } from "../../lib/batcher.ts";
import { withTransaction } from "../../lib/database.ts";
import { TccHangingError } from "../../mixins/tcc-barrier.store.ts";
import { intendToAuthorise } from "./authorise.intent.ts";
import { BRANCH, type StoredReply } from "./branch.ts";
import { intendToCapture } from "./capture.intent.ts";
import { PaymentDeclinedError, PaymentUnknownError, VoidRefusedError } from "./payment.errors.ts";
import type { IntentContext, Step, Traced } from "./payment.intents.ts";
import type { Asked } from "./payment.store.ts";
import type { ProviderResult } from "./psp/port.ts";
import type { ProviderCalls } from "./psp/provider-calls.ts";
import type { Answered } from "./settlement.books.ts";
import { settleAnswers } from "./settlement.ts";
import { intendToVoid } from "./void.intent.ts";

type Try = Actions["payment.try"];
type Confirm = Actions["payment.confirm"];
type Cancel = Actions["payment.cancel"];

export interface PaymentCommands {
  try(item: Traced<Try["params"]>): Promise<Try["result"]>;
  confirm(item: Traced<Confirm["params"]>): Promise<Confirm["result"]>;
  cancel(item: Traced<Cancel["params"]>): Promise<Cancel["result"]>;
  /** Writes down what the provider answered about an attempt. */
  settle(attemptId: string, result: ProviderResult): Promise<Asked>;
}

/**
 * Each operation is intent, question, outcome: two transactions with the provider between them. Intents and
 * outcomes of concurrent payments share transactions; nobody holds one while the provider thinks.
 */
export function createPaymentCommands(
  context: IntentContext,
  calls: ProviderCalls,
  sizeMax: number,
): PaymentCommands {
  const settling = createBatcher<Answered, Asked>({
    name: "payment.settle",
    sizeMax,
    run: (answers) => withTransaction(context.database, (tx) => settleAnswers(context, tx, answers)),
  });
  const authorise = createBatcher<Traced<Try["params"]>, Step>({
    name: "payment.try",
    sizeMax,
    run: (items) => intendToAuthorise(context, items),
  });
  const capture = createBatcher<Traced<Confirm["params"]>, Step>({
    name: "payment.confirm",
    sizeMax,
    run: (items) => intendToCapture(context, items),
  });
  const release = createBatcher<Traced<Cancel["params"]>, Step>({
    name: "payment.cancel",
    sizeMax,
    run: (items) => intendToVoid(context, items),
  });
  const finish = async (step: Step) => {
    if ("reply" in step) return replayed(step.reply);
    const result = await calls.ask(step.request, step.askedBefore);
    return outcomeOf(await settling({ attemptId: step.request.attemptId, result }));
  };
  return {
    try: async (item) => identified(await finish(await authorise(item))),
    confirm: async (item) => identified(await finish(await capture(item))),
    cancel: async (item) => finish(await release(item)),
    settle: (attemptId, result) => settling({ attemptId, result }),
  };
}

function replayed(reply: StoredReply): Cancel["result"] {
  const { paymentId, status, errorCode } = reply;
  if (errorCode !== undefined) throw new PaymentDeclinedError(paymentId ?? "", errorCode);
  return paymentId === undefined ? { status } : { paymentId, status };
}

function identified({ paymentId, status }: Cancel["result"]): Try["result"] {
  if (paymentId === undefined) throw new TypeError("an answer without a payment");
  return { paymentId, status };
}

/** What an operation is answered, as its attempt has turned out. */
function outcomeOf({ payment, attempt }: Asked): Try["result"] {
  const { id: paymentId, status } = payment;
  const { operation } = attempt;
  const code = attempt.errorCode ?? "UNKNOWN";
  if (operation === "authorise" && payment.intent === "void") throw new TccHangingError(payment.gid, BRANCH);
  if (attempt.status === "declined")
    throw operation === "void"
      ? new VoidRefusedError(paymentId, code)
      : new PaymentDeclinedError(paymentId, code);
  if (attempt.status !== "succeeded") throw new PaymentUnknownError(paymentId, code);
  return { paymentId, status };
}
