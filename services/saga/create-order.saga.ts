import { defineSaga } from "../../engine/define.ts";
import type { Actions } from "../../lib/actions.ts";
import type { EventData, Line } from "../../lib/events.ts";
import type { Ciphertext } from "../../lib/personal-data/personal-data.ts";

export interface CreateOrderInput {
  readonly orderId: string;
  readonly customerId: string;
  readonly items: readonly Line[];
  readonly shippingAddress?: Ciphertext;
  readonly paymentMethod?: string;
}

/** No later step reads the answer: what is not stored is not written at each durable point. */
const nothing = () => null;

/**
 * From a basket to a confirmed order. The first three steps ask and draft; they may be repeated without
 * harm, so they share one durable point with the command that follows them. Confirming is the pivot.
 */
export const createOrderSaga = (stockReplyTimeoutMs: number) =>
  defineSaga<Actions, EventData>()<CreateOrderInput>("CREATE_ORDER")
    .call("quoteItems", "product.quote", {
      params: ({ input }) => ({ items: input.items }),
      repeatable: true,
      noCompensation: "reads only",
    })
    .call("draftOrder", "order.draft", {
      params: ({ sagaId, input, results }) => ({
        orderId: input.orderId,
        sagaId,
        customerId: input.customerId,
        shippingAddress: input.shippingAddress,
        ...results.quoteItems,
      }),
      record: nothing,
      repeatable: true,
      compensate: {
        action: "order.cancel",
        params: ({ input, failure }) => ({
          orderId: input.orderId,
          reason: { code: failure.code, message: failure.message },
          actor: "saga",
        }),
      },
    })
    .call("validateCustomer", "customer.validate", {
      params: ({ input }) => ({ customerId: input.customerId }),
      record: nothing,
      repeatable: true,
      noCompensation: "reads only",
    })
    .request("reserveStock", {
      publish: "RESERVE_STOCK",
      data: ({ sagaId, input }) => ({ orderId: input.orderId, sagaId, items: input.items }),
      success: "STOCK_RESERVED",
      record: nothing,
      failure: {
        event: "STOCK_RESERVATION_FAILED",
        reason: ({ productId, reason, available, requested }) => ({
          code: reason,
          message: `Product ${productId}: ${requested} requested, ${available} available.`,
        }),
      },
      timeoutMs: stockReplyTimeoutMs,
      compensate: {
        publish: "RELEASE_STOCK",
        data: ({ sagaId, input, failure }) => ({
          orderId: input.orderId,
          sagaId,
          items: input.items,
          reason: failure.code,
        }),
        success: "STOCK_RELEASED",
        timeoutMs: 10_000,
      },
    })
    .pivot("confirmOrder", "order.confirm", {
      params: ({ input }) => ({ orderId: input.orderId }),
      record: nothing,
    })
    .build();
