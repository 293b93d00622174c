import { uuidv7 } from "../../lib/ids.ts";
import { passBarrier } from "../../mixins/tcc-barrier.store.ts";
import { BRANCH } from "./branch.ts";
import { AlreadyCapturedError } from "./payment.errors.ts";
import {
  type IntentContext,
  inBatch,
  requestOf,
  resume,
  resumed,
  type Step,
  type Steps,
  type Tried,
} from "./payment.intents.ts";
import {
  capturedOrders,
  insertAttempts,
  insertPayments,
  type NewAttempt,
  type Payment,
} from "./payment.store.ts";

/** The try: a payment that nobody has asked the provider about yet. */

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
    for (const [gid, asked] of await resumed(tx, "try", verdicts)) steps.set(gid, resume("try", asked));
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
