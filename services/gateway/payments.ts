import type { Line } from "../../lib/events.ts";
import { LINES_MAX, QUANTITY_MAX } from "../../lib/params.ts";
import { bodyReader, currency, paymentMethod, text, uuid } from "./body-schema.ts";
import { claimOf } from "./idempotency-key.ts";
import { underKey } from "./keyed.ts";
import {
  type ApiRequest,
  answerOf,
  type Call,
  hasRole,
  idIn,
  ok,
  type Reply,
  viewerOf,
  waitOf,
} from "./request.ts";
import { ifEnded, settled } from "./settled.ts";

export const payBody = bodyReader<{ paymentMethod: string }>({ paymentMethod });
export const cancelBody = bodyReader<{ reason?: string }>({ reason: { ...text(500), optional: true } });
export const refundBody = bodyReader<{ amountMinor?: number; reason: string }>({
  amountMinor: { type: "number", integer: true, min: 1, max: Number.MAX_SAFE_INTEGER, optional: true },
  reason: text(500),
});

function orderParams(request: ApiRequest) {
  return { orderId: idIn(request, "orderId", "order"), ...viewerOf(request.principal) };
}

function claim(request: ApiRequest, operation: string, params: object) {
  return claimOf(request.principal.subject, operation, request.headers["idempotency-key"], params);
}

/** POST /orders/:orderId/pay */
export async function payOrder(request: ApiRequest<{ paymentMethod: string }>, call: Call): Promise<Reply> {
  const params = { ...orderParams(request), ...request.body };
  const idempotency = claim(request, "POST /orders/:orderId/pay", params);
  const answer = await call("saga.payOrder", { ...params, idempotency });
  const { transactionId } = answer.body;
  return settled(request, answerOf(answer), async (wait) =>
    ifEnded(await call("saga.transaction", { transactionId, waitMs: wait.waitMs }, wait.options)),
  );
}

/** POST or PUT /orders/:orderId/cancel */
export async function cancelOrder(request: ApiRequest<{ reason?: string }>, call: Call): Promise<Reply> {
  const { principal } = request;
  const params = { ...orderParams(request), ...request.body };
  const idempotency = claim(request, "POST /orders/:orderId/cancel", params);
  const byStaff = hasRole(principal, "staff");
  const asked = { ...params, actor: principal.subject, byStaff, idempotency };
  const answer = await call("saga.cancelOrder", asked);
  const { sagaId } = answer.body;
  return settled(request, answerOf(answer), async (wait) =>
    ifEnded(await call("saga.get", { sagaId, waitMs: wait.waitMs }, wait.options)),
  );
}

/** GET /transactions/:transactionId, with `Prefer: wait=N` once it has ended. */
export async function getTransaction(request: ApiRequest, call: Call): Promise<Reply> {
  const wait = waitOf(request);
  const params = {
    transactionId: idIn(request, "transactionId", "transaction"),
    ...viewerOf(request.principal),
  };
  if (!wait) return ok(await call("saga.transaction", params));
  const body = await call("saga.transaction", { ...params, waitMs: wait.waitMs }, wait.options);
  return { ...ok(body), headers: wait.applied };
}

/** POST /orders/:orderId/ship and /complete */
export const moveOrder =
  (action: "order.ship" | "order.complete") => async (request: ApiRequest, call: Call) => {
    const params = { orderId: idIn(request, "orderId", "order") };
    const actor = request.principal.subject;
    return underKey(request, call, { operation: action, params }, async () =>
      ok(await call(action, { ...params, actor })),
    );
  };

export async function getPayment(request: ApiRequest, call: Call): Promise<Reply> {
  const paymentId = idIn(request, "paymentId", "payment");
  return ok(await call("payment.get", { paymentId, ...viewerOf(request.principal) }));
}

export async function listPayments(request: ApiRequest, call: Call): Promise<Reply> {
  // An order of somebody else is not found, rather than found to have no payments.
  await call("order.status", orderParams(request));
  return ok(await call("payment.byOrder", orderParams(request)));
}

/** POST /payments/:paymentId/refund */
export async function refundPayment(
  request: ApiRequest<{ amountMinor?: number; reason: string }>,
  call: Call,
): Promise<Reply> {
  const params = { paymentId: idIn(request, "paymentId", "payment"), ...request.body };
  const idempotency = claim(request, "POST /payments/:paymentId/refund", params);
  return answerOf(await call("payment.refund", { ...params, idempotency }));
}

interface StockTry {
  readonly orderId: string;
  readonly items: readonly Line[];
  readonly ttlSeconds?: number;
}

export const stockTryBody = bodyReader<StockTry>({
  orderId: uuid,
  items: {
    type: "array",
    min: 1,
    max: LINES_MAX,
    items: {
      type: "object",
      strict: true,
      props: { productId: uuid, quantity: { type: "number", integer: true, min: 1, max: QUANTITY_MAX } },
    },
  },
  ttlSeconds: { type: "number", integer: true, min: 120, max: 86_400, optional: true },
});

/** POST /products/stock/try: a coordinator of one's own. The order is the transaction: confirm and cancel name no other. */
export async function tryStock(request: ApiRequest<StockTry>, call: Call): Promise<Reply> {
  const { body } = request;
  const orderId = body.orderId.toLowerCase();
  const items = body.items.map((line) => ({ ...line, productId: line.productId.toLowerCase() }));
  const params = { ...body, orderId, items, gid: orderId };
  return underKey(request, call, { operation: "product.stockTry", params }, async () => ({
    status: 201,
    body: await call("product.stockTry", params),
  }));
}

export const finishStock =
  (action: "product.stockConfirm" | "product.stockCancel") => async (request: ApiRequest, call: Call) => {
    const orderId = idIn(request, "orderId", "order");
    const params = { gid: orderId, orderId };
    return underKey(request, call, { operation: action, params }, async () => ok(await call(action, params)));
  };

interface PaymentTry {
  readonly gid?: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly paymentMethod: string;
}

export const paymentTryBody = bodyReader<PaymentTry>({
  gid: { ...uuid, optional: true },
  orderId: uuid,
  customerId: uuid,
  amountMinor: { type: "number", integer: true, min: 1, max: Number.MAX_SAFE_INTEGER },
  currency,
  paymentMethod,
});

/** POST /payments/try: a coordinator of one's own; without a gid the order is the transaction. */
export async function tryPayment(request: ApiRequest<PaymentTry>, call: Call): Promise<Reply> {
  const { body } = request;
  const orderId = body.orderId.toLowerCase();
  const customerId = body.customerId.toLowerCase();
  const params = { ...body, orderId, customerId, gid: body.gid?.toLowerCase() ?? orderId };
  return underKey(request, call, { operation: "payment.try", params }, async () => ({
    status: 201,
    body: await call("payment.try", params),
  }));
}

export const finishPayment =
  (action: "payment.confirm" | "payment.cancel") => async (request: ApiRequest, call: Call) => {
    const params = { gid: idIn(request, "id", "payment") };
    return underKey(request, call, { operation: action, params }, async () => ok(await call(action, params)));
  };
