import { defineTcc } from "../../engine/tcc-define.ts";
import type { Actions } from "../../lib/actions.ts";

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
      params: ({ gid, input: { orderId }, failure }) => ({
        gid,
        orderId,
        ...(failure && { reason: { code: failure.code, message: failure.message } }),
      }),
    },
  },
  product: {
    try: { action: "product.stockTry", params: ({ gid, input: { orderId } }) => ({ gid, orderId }) },
    confirm: { action: "product.stockConfirm", params: ({ gid, input: { orderId } }) => ({ gid, orderId }) },
    cancel: { action: "product.stockCancel", params: ({ gid, input: { orderId } }) => ({ gid, orderId }) },
  },
});
