import type { Context } from "moleculer";
import type { Engine } from "../../engine/engine.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type {
  CancelOrderParams,
  IdempotencyClaim,
  IdempotentAnswer,
  OrderStatus,
  OrderView,
} from "../../lib/contracts.ts";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import type { CallMeta } from "../../lib/define.ts";
import { callAction } from "../../lib/define.ts";
import { factsOf, StateConflictError } from "../../lib/errors.ts";
import { findRecords } from "../../mixins/idempotency.store.ts";
import type { Acceptance } from "./accept.ts";
import { cancelReason, sagaAnswer } from "./requests.ts";

/** Which way an order is cancelled depends on how far it has come. */

const CANCELLABLE: readonly OrderStatus[] = ["created", "paid"];

export interface CancellationContext {
  readonly database: Database;
  readonly engine: Engine<SagaInstance, Tx>;
  readonly once: Acceptance<SagaInstance>["once"];
}

/** The order as its service, or before its draft its saga, knows it. @throws ORDER_NOT_FOUND */
export async function orderToCancel(
  ctx: Context<unknown, CallMeta>,
  { orderId, customerId }: CancelOrderParams,
): Promise<OrderView> {
  const params = { orderId, ...(customerId && { customerId }) };
  try {
    return await callAction(ctx, "order.get", params);
  } catch (error) {
    if (factsOf(error).type !== "ORDER_NOT_FOUND") throw error;
    return callAction(ctx, "saga.order", params);
  }
}

/**
 * A draft is cancelled by turning the saga that creates it round, as long as it is before its pivot. Answers
 * undefined where that is not the way.
 */
export async function cancelDraft(
  { database, engine, once }: CancellationContext,
  params: CancelOrderParams,
  { sagaId, status }: OrderView,
): Promise<IdempotentAnswer<{ sagaId: string }> | undefined> {
  if (status !== "draft") return undefined;
  const claim = params.idempotency;
  const underKey = async (tx: Tx) => {
    const [answer] = await once(
      tx,
      [{ claim, answer: sagaAnswer(sagaId), work: undefined }],
      async () => undefined,
    );
    if (answer instanceof Error) throw answer;
    return answer as IdempotentAnswer<{ sagaId: string }>;
  };
  // The key commits with what it is for: the saga, once turned round, cannot be again, and whoever has had no answer
  // would find the order cancelled and be refused.
  let answer: IdempotentAnswer<{ sagaId: string }> | undefined;
  await engine.offer(sagaId, { kind: "cancel", ...cancelReason(params) }, async (tx) => {
    answer = await underKey(tx);
  });
  if (answer) return answer;
  const known = await withTransaction(database, (tx) => findRecords(tx, [claim]));
  if (known.size > 0) return withTransaction(database, underKey);
  const message = "The order is being confirmed at this moment: ask again.";
  throw new StateConflictError(message, "ORDER_STATE_CONFLICT", { orderId: params.orderId, status });
}

/** Of several requests at once one starts the cancellation: the unique index refuses the others. */
export function oneCancellation(error: unknown): never {
  const { constraint } = (error ?? {}) as { readonly constraint?: string };
  if (constraint !== "saga_instances_one_cancellation") throw error;
  throw new StateConflictError("The order is being cancelled already.", "ORDER_STATE_CONFLICT", {
    status: "cancelling",
  });
}

/** @throws StateConflictError the order cannot be cancelled now, and this is no repeated request */
export async function assertCancellable(
  database: Database,
  { orderId, status }: OrderView,
  claim: IdempotencyClaim,
): Promise<void> {
  if (CANCELLABLE.includes(status)) return;
  const known = await withTransaction(database, (tx) => findRecords(tx, [claim]));
  if (known.size > 0) return;
  const hint = status === "paying" ? " A payment is under way: ask again." : "";
  const message = `An order that is ${status} cannot be cancelled.${hint}`;
  throw new StateConflictError(message, "ORDER_STATE_CONFLICT", { orderId, status });
}
