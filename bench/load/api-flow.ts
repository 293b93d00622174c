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

/** Orders that are there to be paid or cancelled. What one cell leaves of them the next one uses. */
export interface OrderPool {
  readonly unpaid: Created[];
  readonly paid: Created[];
}

/**
 * Orders by the public API: each made, paid or cancelled by a POST, then followed by a long poll to its end. `pay` and
 * `cancel` use up orders that were made before, `get` looks at such ones; `mixed` makes 70 %, pays 20 % and cancels 10 %,
 * paid ones too.
 */
export function createApiFlow(target: ApiTarget, kind: FlowKind, pool: OrderPool): Flow {
  const client = createApiClient(target);
  const { unpaid, paid } = pool;

  const make = async (basket: Basket): Promise<Placed> => {
    const token = client.nextToken();
    const placed = await create(client, basket, token);
    unpaid.push({ orderId: placed.orderId, token });
    return placed;
  };
  const pay = async (loop: number): Promise<Placed> => {
    const order = unpaid.shift();
    if (order === undefined) throw new Error("no order is left to be paid: prepare more");
    const placed = await payOrder(client, loop, order);
    if (kind === "mixed") paid.push(order);
    return placed;
  };
  const cancel = async (loop: number): Promise<Placed> => {
    const order = paid.shift() ?? unpaid.shift();
    if (order === undefined) throw new Error("no order is left to be cancelled: prepare more");
    return cancelOrder(client, loop, order);
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
    if (dice < CANCELS && paid.length + unpaid.length > 0) return cancel(basket.loop);
    if (dice < CANCELS + PAYS && unpaid.length > 0) return pay(basket.loop);
    return make(basket);
  };
  const flows = {
    create: (basket: Basket) => create(client, basket, client.nextToken()),
    pay: ({ loop }: Basket) => pay(loop),
    cancel: ({ loop }: Basket) => cancel(loop),
    get: ({ loop }: Basket) => get(loop),
    mixed,
    flash: (basket: Basket) => buy(client, basket),
  };
  return {
    place: flows[kind],
    stock: { make: async (basket) => void (await make(basket)), count: () => unpaid.length },
    polled: client.polled,
    close: client.close,
  };
}

async function create(client: ApiClient, { loop, first, second }: Basket, token: string): Promise<Placed> {
  const body = `{"items":[{"productId":"${first}","quantity":1},{"productId":"${second}","quantity":2}]}`;
  return follow(client, loop, "/orders", token, body, sagaCompleted);
}

/** One unit of one product, as long as there are any. */
async function buy(client: ApiClient, { loop, first }: Basket): Promise<Placed> {
  const body = `{"items":[{"productId":"${first}","quantity":1}]}`;
  let isRefused = false;
  const placed = await follow(client, loop, "/orders", client.nextToken(), body, ({ state }) => {
    isRefused = state === "COMPENSATED";
    return isRefused || state === "COMPLETED";
  });
  return { ...placed, isRefused };
}

async function payOrder(client: ApiClient, loop: number, { orderId, token }: Created): Promise<Placed> {
  const before = performance.now();
  const body = '{"paymentMethod":"sim_ok"}';
  const { transactionId } = await client.post(loop, `/orders/${orderId}/pay`, token, body);
  const acceptMs = performance.now() - before;
  await client.untilEnded(loop, `/transactions/${transactionId}`, token, ({ state, error }) => {
    if (state === "CANCELLED") throw new Error(`the payment was cancelled: ${JSON.stringify(error)}`);
    return state === "CONFIRMED";
  });
  return { orderId, acceptMs };
}

async function cancelOrder(client: ApiClient, loop: number, { orderId, token }: Created): Promise<Placed> {
  const placed = await follow(client, loop, `/orders/${orderId}/cancel`, token, "{}", sagaCompleted);
  return { ...placed, orderId };
}

/** Asks for something that a saga does, and waits for the saga's end. */
async function follow(
  client: ApiClient,
  loop: number,
  path: string,
  token: string,
  body: string,
  ended: (saga: Json) => boolean,
): Promise<Placed> {
  const before = performance.now();
  const { orderId, sagaId } = await client.post(loop, path, token, body);
  const acceptMs = performance.now() - before;
  await client.untilEnded(loop, `/orders/saga/${sagaId}`, token, ended);
  return { orderId: String(orderId), acceptMs };
}

function sagaCompleted(saga: Json): boolean {
  if (saga.state === "COMPENSATED")
    throw new Error(`the saga ended as ${JSON.stringify(saga).slice(0, 300)}`);
  return saga.state === "COMPLETED";
}
