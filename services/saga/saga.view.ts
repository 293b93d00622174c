import type { OrderView, SagaView } from "../../lib/contracts.ts";
import type { CreateOrderInput } from "./create-order.saga.ts";
import type { StoredSaga } from "./saga.store.ts";

/** How sagas look from outside. */

export function sagaView(saga: StoredSaga): SagaView {
  const { failure } = saga.progress;
  const steps = saga.progress.steps.map(({ startedAtMs, endedAtMs, error, ...step }) => ({
    ...step,
    startedAt: new Date(startedAtMs).toISOString(),
    ...(endedAtMs !== undefined && { endedAt: new Date(endedAtMs).toISOString() }),
    ...(error && { error }),
  }));
  return {
    sagaId: saga.id,
    type: saga.type,
    state: saga.state,
    currentStep: saga.step,
    orderId: saga.businessKey,
    ...(failure && { error: { code: failure.code, message: failure.message } }),
    steps,
    createdAt: saga.createdAt.toISOString(),
    updatedAt: saga.updatedAt.toISOString(),
  };
}

/** The order of a CREATE_ORDER saga that has no draft yet, or never came to one: without prices. */
export function orderViewOf(saga: StoredSaga): OrderView {
  const input = saga.input as CreateOrderInput;
  const { failure } = saga.progress;
  const createdAt = saga.createdAt.toISOString();
  const updatedAt = saga.updatedAt.toISOString();
  const reason = failure && { code: failure.code, message: failure.message };
  const ended = saga.state === "COMPENSATED" && reason !== undefined;
  return {
    orderId: input.orderId,
    customerId: input.customerId,
    status: ended ? "cancelled" : "draft",
    ...(ended && { reason }),
    items: input.items.map((line) => ({ ...line, sku: "", priceMinor: 0 })),
    totalMinor: 0,
    currency: "",
    ...(input.shippingAddress && { shippingAddress: input.shippingAddress }),
    timeline: [
      { status: "draft", at: createdAt },
      ...(ended ? [{ status: "cancelled" as const, at: updatedAt, reason }] : []),
    ],
    sagaId: saga.id,
    createdAt,
    updatedAt,
  };
}
