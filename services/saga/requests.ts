import type { Instance } from "../../engine/protocol.ts";
import type { SagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { TccProtocol } from "../../engine/tcc.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import type {
  CancelOrderParams,
  CreateOrderAnswer,
  CreateOrderParams,
  OrderBill,
  OrderView,
  PayOrderAnswer,
  PayOrderParams,
} from "../../lib/contracts.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { traceparentOf, tracing } from "../../lib/tracing/tracing.ts";
import type { StartRequest } from "./accept.ts";
import type { CancelOrderInput } from "./cancel-order.saga.ts";
import type { CreateOrderInput } from "./create-order.saga.ts";
import type { PayOrderInput } from "./pay-order.tcc.ts";

/** From what clients ask to what is started, and what they are told. */

export function createOrderRequest(
  protocol: SagaProtocol,
  params: CreateOrderParams,
  correlationId: string,
): StartRequest<SagaInstance> {
  const { idempotency: claim, ...basket } = params;
  const { orderId, customerId } = basket;
  const id = uuidv7();
  const input: CreateOrderInput = basket;
  const about = { businessKey: orderId, ownerId: customerId, ...traced(correlationId) };
  const body: CreateOrderAnswer = { orderId, sagaId: id, status: "processing" };
  const answer = { status: 202, headers: { location: `/api/orders/${orderId}` }, body };
  return { claim, answer, work: protocol.start({ id, type: "CREATE_ORDER", input, ...about }, new Date()) };
}

export function cancelOrderRequest(
  protocol: SagaProtocol,
  params: CancelOrderParams,
  order: OrderView,
  correlationId: string,
): StartRequest<SagaInstance> {
  const { idempotency: claim, orderId, actor } = params;
  const id = uuidv7();
  const input: CancelOrderInput = { orderId, actor, reason: cancelReason(params) };
  const about = { businessKey: orderId, ownerId: order.customerId, ...traced(correlationId) };
  return {
    claim,
    answer: sagaAnswer(id),
    work: protocol.start({ id, type: "CANCEL_ORDER", input, ...about }, new Date()),
  };
}

export function cancelReason({ reason, byStaff }: CancelOrderParams) {
  const code = byStaff ? "CANCELLED_BY_STAFF" : "CANCELLED_BY_CUSTOMER";
  return { code, message: reason ?? "" };
}

/** What a cancellation is answered, be it a saga of its own or the undoing of the order's creation. */
export function sagaAnswer(sagaId: string) {
  return { status: 202, headers: { location: `/api/orders/saga/${sagaId}` }, body: { sagaId } };
}

/** What is started goes on in the trace of the request that it was started by. */
function traced(correlationId: string): Pick<Instance, "correlationId" | "traceparent"> {
  const traceparent = tracing.on ? traceparentOf({ correlationId }) : undefined;
  return traceparent === undefined ? { correlationId } : { correlationId, traceparent };
}

export function payOrderRequest(
  protocol: TccProtocol,
  params: PayOrderParams,
  order: OrderBill,
  correlationId: string,
): StartRequest<TccInstance> {
  const { idempotency: claim, orderId, paymentMethod } = params;
  const { customerId, totalMinor: amountMinor, currency } = order;
  const id = uuidv7();
  const input: PayOrderInput = { orderId, customerId, amountMinor, currency, paymentMethod };
  const about = { businessKey: orderId, ownerId: customerId, ...traced(correlationId) };
  const body: PayOrderAnswer = { transactionId: id, orderId, status: "processing" };
  const answer = { status: 202, headers: { location: `/api/transactions/${id}` }, body };
  return { claim, answer, work: protocol.start({ id, type: "PAY_ORDER", input, ...about }, new Date()) };
}
