import { defineSaga } from "../../engine/define.ts";
import type { Actions } from "../../lib/actions.ts";
import type { EventData, Reason } from "../../lib/events.ts";

export interface CancelOrderInput {
  readonly orderId: string;
  readonly reason: Reason;
  readonly actor: string;
}

const ANSWER_TIMEOUT_MS = 30_000;
const nothing = () => null;

/**
 * The request is the pivot: from there the order is locked for everything else, and stock and money go back
 * until they are back.
 */
export const cancelOrderSaga = defineSaga<Actions, EventData>()<CancelOrderInput>("CANCEL_ORDER")
  .pivot("requestCancellation", "order.requestCancellation", {
    params: ({ sagaId, input }) => ({ sagaId, ...input }),
  })
  .request("releaseStock", {
    publish: "RELEASE_STOCK",
    data: ({ sagaId, input, results }) => ({
      orderId: input.orderId,
      sagaId,
      items: results.requestCancellation.items,
      reason: input.reason.code,
    }),
    success: "STOCK_RELEASED",
    record: nothing,
    timeoutMs: ANSWER_TIMEOUT_MS,
  })
  .request("refundPayment", {
    when: ({ results }) => results.requestCancellation.before === "paid",
    publish: "REFUND_PAYMENT",
    data: ({ sagaId, input }) => ({ orderId: input.orderId, sagaId, reason: input.reason.code }),
    success: "PAYMENT_REFUNDED",
    timeoutMs: ANSWER_TIMEOUT_MS,
  })
  .call("cancelOrder", "order.cancel", {
    params: ({ input: { orderId, reason, actor } }) => ({ orderId, reason, actor }),
    record: nothing,
  })
  .build();
