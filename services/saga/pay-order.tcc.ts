import { defineTcc } from "../../engine/tcc-define.ts";
import type { TccFailure } from "../../engine/tcc-instance.ts";
import type { Actions } from "../../lib/actions.ts";
import type { Reason } from "../../lib/events.ts";

export interface PayOrderInput {
  readonly orderId: string;
  readonly customerId: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly paymentMethod: string;
}

/**
 * Order, stock and money agree or nothing happens. The participants' holds last a minute longer than this
 * deadline, so that a decided confirm is never refused as expired.
 */
const DEADLINE_MS = 14 * 60_000;

export const payOrderTcc = defineTcc<Actions>()<PayOrderInput>("PAY_ORDER", DEADLINE_MS, {
  payment: {
    // Capturing is what an outside party may still refuse: it goes first and alone.
    pivot: true,
    try: { action: "payment.try", params: ({ gid, input }) => ({ gid, ...input }) },
    confirm: { action: "payment.confirm", params: ({ gid }) => ({ gid }) },
    cancel: { action: "payment.cancel", params: ({ gid }) => ({ gid }) },
  },
  order: {
    try: { action: "order.tryPay", params: ({ gid, input: { orderId } }) => ({ gid, orderId }) },
    confirm: { action: "order.confirmPay", params: ({ gid, input: { orderId } }) => ({ gid, orderId }) },
    cancel: {
      action: "order.cancelPay",
      params: ({ gid, input: { orderId }, failure }) => ({ gid, orderId, ...reasonOf(failure) }),
    },
  },
  product: {
    try: { action: "product.stockTry", params: ({ gid, input: { orderId } }) => ({ gid, orderId }) },
    confirm: { action: "product.stockConfirm", params: ({ gid, input: { orderId } }) => ({ gid, orderId }) },
    cancel: { action: "product.stockCancel", params: ({ gid, input: { orderId } }) => ({ gid, orderId }) },
  },
});

/** Why the order is not paid. That it could not be paid by this transaction at all is no news of the order. */
function reasonOf(failure: TccFailure | undefined): { reason?: Reason } {
  if (!failure) return {};
  const { code, message, participant } = failure;
  return participant === "order" && code !== "TIMEOUT" ? {} : { reason: { code, message } };
}
