import type { Actions } from "../../lib/actions.ts";
import type { OrderView, SagaView } from "../../lib/contracts.ts";
import { factsOf } from "../../lib/errors.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { ORDER_STATUSES } from "./contract/views.ts";
import { claimOf } from "./idempotency-key.ts";
import { parseOrder } from "./order-input.ts";
import { instant, oneOf, PAGE, type QueryOf, uuid } from "./query.ts";
import { ForbiddenError } from "./refusals.ts";
import { type ApiRequest, answerOf, type Call, idIn, ok, type Reply, viewerOf, waitOf } from "./request.ts";
import { hasEnded, settled } from "./settled.ts";
import { encryptAddress, indexOf, shownOrder } from "./shipping-address.ts";

export const LIST_QUERY = {
  status: oneOf(ORDER_STATUSES),
  customerId: uuid,
  from: instant,
  to: instant,
  ...PAGE,
};

/** POST /orders: validated before the key is claimed, so that a refusal leaves the key unused. */
export async function createOrder(request: ApiRequest, call: Call): Promise<Reply> {
  const { principal, headers, personalData } = request;
  const { shippingAddress: address, ...basket } = parseOrder(request.body, principal);
  // What is stored of the request is a hash that nobody can guess an address by.
  const hashed = { ...basket, ...(address && { shippingAddress: indexOf(personalData, address) }) };
  const idempotency = claimOf(principal.subject, "POST /orders", headers["idempotency-key"], hashed);
  const orderId = uuidv7();
  const answer = await call("saga.createOrder", {
    orderId,
    ...basket,
    ...(address && { shippingAddress: encryptAddress(personalData, orderId, address) }),
    idempotency,
  });
  const { orderId: placed, sagaId } = answer.body;
  const accepted = answerOf(answer, { location: `/api/orders/${placed}` });
  return settled(request, accepted, async (wait) => {
    if (!hasEnded(await call("saga.get", { sagaId, waitMs: wait.waitMs }, wait.options))) return undefined;
    return shownOrder(personalData, await findOrder({ orderId: placed }, call));
  });
}

/** GET /orders. A customer may name themselves, and nobody else. */
export async function listOrders(
  request: ApiRequest<undefined, QueryOf<typeof LIST_QUERY>>,
  call: Call,
): Promise<Reply> {
  const { query } = request;
  const viewer = viewerOf(request.principal);
  if (viewer.customerId !== undefined && (query.customerId ?? viewer.customerId) !== viewer.customerId) {
    throw new ForbiddenError("Only staff may list the orders of others.");
  }
  const { items, ...page } = await call("order.list", { ...query, ...viewer });
  return ok({ items: items.map((order) => shownOrder(request.personalData, order)), ...page });
}

/** GET /orders/:orderId */
export async function getOrder(request: ApiRequest, call: Call): Promise<Reply> {
  return reply(request, shownOrder(request.personalData, await settledOrder(request, call)));
}

/** GET /orders/:orderId/status */
export async function getOrderStatus(request: ApiRequest, call: Call): Promise<Reply> {
  if (waitOf(request)) return reply(request, statusOf(await settledOrder(request, call)));
  const params = orderParams(request);
  const fromSaga = async () => statusOf(await call("saga.order", params));
  return reply(request, await call("order.status", params).catch(ifNoDraft(fromSaga)));
}

/** GET /orders/saga/:sagaId */
export async function getSaga(request: ApiRequest, call: Call): Promise<Reply> {
  return reply(request, await sagaView(request, call, idIn(request, "sagaId", "saga")));
}

/** The order, once its saga has ended where the client prefers to wait for that. */
async function settledOrder(request: ApiRequest, call: Call): Promise<OrderView> {
  const params = orderParams(request);
  const order = await findOrder(params, call);
  // Every later state is one that the saga has ended in, or has gone beyond.
  if (order.status !== "draft" || !waitOf(request)) return order;
  await sagaView(request, call, order.sagaId);
  return findOrder(params, call);
}

/** The order or, while its draft is late, what its saga knows of it. */
async function findOrder(params: OrderParams, call: Call): Promise<OrderView> {
  return call("order.get", params).catch(ifNoDraft(() => call("saga.order", params)));
}

function ifNoDraft<Result>(ask: () => Promise<Result>): (error: unknown) => Promise<Result> {
  return (error) => {
    if (factsOf(error).type !== "ORDER_NOT_FOUND") throw error;
    return ask();
  };
}

/** The saga, which answers at its end, as far as the client prefers to wait. */
async function sagaView(request: ApiRequest, call: Call, sagaId: string): Promise<SagaView> {
  const params = { sagaId, ...viewerOf(request.principal) };
  const wait = waitOf(request);
  if (!wait) return call("saga.get", params);
  return call("saga.get", { ...params, waitMs: wait.waitMs }, wait.options);
}

type OrderParams = Actions["order.get"]["params"];

const orderParams = (request: ApiRequest) => ({
  orderId: idIn(request, "orderId", "order"),
  ...viewerOf(request.principal),
});

function reply(request: ApiRequest, body: unknown): Reply {
  const wait = waitOf(request);
  return wait ? { ...ok(body), headers: wait.applied } : ok(body);
}

function statusOf({ orderId, status, reason, updatedAt }: OrderView) {
  return { orderId, status, ...(reason && { reason }), updatedAt };
}
