import { type ApiClient, createApiClient, type Json } from "./api-client.ts";
import type { Basket, Flow, Placed } from "./flow.ts";
import type { ApiTarget, FlowKind } from "./protocol.ts";

/** Of a mixed load; the rest creates. */
const PAYS = 0.2;
const CANCELS = 0.1;

interface Created {
  readonly orderId: string;
  readonly token: string;
}

/**
 * Orders by the public API: each made, paid or cancelled by a POST that prefers to wait for its end; with
 * `follow` by a POST and a GET that waits.
 * `pay` and `cancel` use up orders that `prepare` made before, `get` looks at such ones; `mixed` makes 70 %, pays 20 % and cancels 10 %, paid ones too.
 */
export function createApiFlow(target: ApiTarget, kind: FlowKind, follow = false): Flow {
  const client = createApiClient(target);
  const unpaid: Created[] = [];
  const cancellable: Created[] = [];

  const place = async (basket: Basket): Promise<Placed> => {
    const token = client.nextToken();
    const placed = await create(client, basket, token, follow);
    if (kind !== "create") unpaid.push({ orderId: placed.orderId, token });
    return placed;
  };
  const pay = async (loop: number): Promise<Placed> => {
    const order = unpaid.shift();
    if (order === undefined) throw new Error("no order is left to be paid: prepare more");
    const placed = await payOrder(client, loop, order, follow);
    if (kind === "mixed") cancellable.push(order);
    return placed;
  };
  const cancel = async (loop: number): Promise<Placed> => {
    const order = cancellable.shift() ?? unpaid.shift();
    if (order === undefined) throw new Error("no order is left to be cancelled");
    return cancelOrder(client, loop, order, follow);
  };
  const get = async (loop: number): Promise<Placed> => {
    const order = unpaid[Math.floor(Math.random() * unpaid.length)];
    if (order === undefined) throw new Error("no order is there to be looked at");
    const { orderId } = await client.get(loop, `/orders/${order.orderId}`, order.token);
    if (orderId !== order.orderId) throw new Error(`asked for ${order.orderId}, got ${String(orderId)}`);
    return { orderId: order.orderId };
  };
  const mixed = (basket: Basket): Promise<Placed> => {
    const dice = Math.random();
    if (dice < CANCELS && cancellable.length + unpaid.length > 0) return cancel(basket.loop);
    if (dice < CANCELS + PAYS && unpaid.length > 0) return pay(basket.loop);
    return place(basket);
  };
  const flows = {
    create: place,
    pay: ({ loop }: Basket) => pay(loop),
    cancel: ({ loop }: Basket) => cancel(loop),
    get: ({ loop }: Basket) => get(loop),
    mixed,
  };
  return {
    place: flows[kind],
    prepare: async (basket) => void (await place(basket)),
    polled: client.polled,
    close: client.close,
  };
}

async function create(
  client: ApiClient,
  { loop, first, second }: Basket,
  token: string,
  follow: boolean,
): Promise<Placed> {
  const body = `{"items":[{"productId":"${first}","quantity":1},{"productId":"${second}","quantity":2}]}`;
  const placed = await post(client, loop, "/orders", token, body, follow);
  const orderId = String(placed.body.orderId);
  if (placed.ended) {
    const { status, reason } = placed.body;
    if (status !== "created") throw new Error(`the order is ${String(status)}: ${JSON.stringify(reason)}`);
    return { orderId };
  }
  await client.untilEnded(loop, `/orders/saga/${placed.body.sagaId}`, token, sagaCompleted);
  return { orderId, ...placed.accepted };
}

async function payOrder(
  client: ApiClient,
  loop: number,
  { orderId, token }: Created,
  follow: boolean,
): Promise<Placed> {
  const body = '{"paymentMethod":"sim_ok"}';
  const paid = await post(client, loop, `/orders/${orderId}/pay`, token, body, follow);
  if (paid.ended) return assertEnded(transactionConfirmed(paid.body), { orderId });
  await client.untilEnded(loop, `/transactions/${paid.body.transactionId}`, token, transactionConfirmed);
  return { orderId, ...paid.accepted };
}

async function cancelOrder(
  client: ApiClient,
  loop: number,
  { orderId, token }: Created,
  follow: boolean,
): Promise<Placed> {
  const cancelled = await post(client, loop, `/orders/${orderId}/cancel`, token, "{}", follow);
  if (cancelled.ended) return assertEnded(sagaCompleted(cancelled.body), { orderId });
  await client.untilEnded(loop, `/orders/saga/${cancelled.body.sagaId}`, token, sagaCompleted);
  return { orderId, ...cancelled.accepted };
}

/** With `follow` it tells when it was accepted. */
async function post(
  client: ApiClient,
  loop: number,
  path: string,
  token: string,
  body: string,
  follow: boolean,
) {
  const before = performance.now();
  const posted = await client.post(loop, path, token, body, !follow);
  return { ...posted, ...(follow && { accepted: { acceptMs: performance.now() - before } }) };
}

function assertEnded(ended: boolean, placed: Placed): Placed {
  if (!ended) throw new Error("the end was answered before it came");
  return placed;
}

function transactionConfirmed({ state, error }: Json): boolean {
  if (state === "CANCELLED") throw new Error(`the payment was cancelled: ${JSON.stringify(error)}`);
  return state === "CONFIRMED";
}

function sagaCompleted(saga: Json): boolean {
  if (saga.state === "COMPENSATED")
    throw new Error(`the saga ended as ${JSON.stringify(saga).slice(0, 300)}`);
  return saga.state === "COMPLETED";
}
