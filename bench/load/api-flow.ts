import { type ApiClient, createApiClient, type Json } from "./api-client.ts";
import type { Basket, Flow, Placed } from "./flow.ts";
import type { ApiTarget, Cell } from "./protocol.ts";

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
 * Orders by the public API: each made, paid or cancelled by a POST that prefers to wait for its end; with `follow` by a
 * POST and a GET that waits. `pay` and `cancel` use up orders that were made before, `get` looks at such ones; `mixed`
 * makes 70 %, pays 20 % and cancels 10 %, paid ones too.
 */
export function createApiFlow(
  target: ApiTarget,
  { flow: kind, follow = false }: Cell,
  pool: OrderPool,
): Flow {
  const client = createApiClient(target);
  const asker: Asker = { client, follow };
  const { unpaid, paid } = pool;

  const make = async (basket: Basket): Promise<Placed> => {
    const token = client.nextToken();
    const placed = await create(asker, basket, token);
    unpaid.push({ orderId: placed.orderId, token });
    return placed;
  };
  const pay = async (loop: number): Promise<Placed> => {
    const order = unpaid.shift();
    if (order === undefined) throw new Error("no order is left to be paid: prepare more");
    const placed = await payOrder(asker, loop, order);
    if (kind === "mixed") paid.push(order);
    return placed;
  };
  const cancel = async (loop: number): Promise<Placed> => {
    const order = paid.shift() ?? unpaid.shift();
    if (order === undefined) throw new Error("no order is left to be cancelled: prepare more");
    return cancelOrder(asker, loop, order);
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
    create: (basket: Basket) => create(asker, basket, client.nextToken()),
    pay: ({ loop }: Basket) => pay(loop),
    cancel: ({ loop }: Basket) => cancel(loop),
    get: ({ loop }: Basket) => get(loop),
    mixed,
    flash: (basket: Basket) => buy(asker, basket, client.nextToken()),
  };
  return {
    place: flows[kind],
    stock: { make: async (basket) => void (await make(basket)), count: () => unpaid.length },
    polled: client.polled,
    close: client.close,
  };
}

/** Something to ask for, and how to tell that it has ended well: by the POST's own answer, or where that points to. */
interface Wish {
  readonly path: string;
  readonly token: string;
  readonly body: string;
  /** The answer to who waits. @throws when it is no good end */
  readonly ended: (body: Json) => boolean;
  readonly later: { readonly path: (accepted: Json) => string; readonly ended: (body: Json) => boolean };
}

const AT_SAGA = { path: ({ sagaId }: Json) => `/orders/saga/${String(sagaId)}`, ended: sagaCompleted };

function create(asker: Asker, { loop, first, second }: Basket, token: string): Promise<Placed> {
  const body = `{"items":[{"productId":"${first}","quantity":1},{"productId":"${second}","quantity":2}]}`;
  const ended = ({ status, reason }: Json) => {
    if (status !== "created") throw new Error(`the order is ${String(status)}: ${JSON.stringify(reason)}`);
    return true;
  };
  return ask(asker, loop, { path: "/orders", token, body, ended, later: AT_SAGA });
}

/** One unit of one product, as long as there are any. */
async function buy(asker: Asker, { loop, first }: Basket, token: string): Promise<Placed> {
  const body = `{"items":[{"productId":"${first}","quantity":1}]}`;
  let isRefused = false;
  const ended = ({ status }: Json) => {
    isRefused = status === "cancelled";
    return isRefused || status === "created";
  };
  const later = {
    ...AT_SAGA,
    ended: ({ state }: Json) => {
      isRefused = state === "COMPENSATED";
      return isRefused || state === "COMPLETED";
    },
  };
  const placed = await ask(asker, loop, { path: "/orders", token, body, ended, later });
  return { ...placed, isRefused };
}

async function payOrder(asker: Asker, loop: number, { orderId, token }: Created): Promise<Placed> {
  const later = {
    path: ({ transactionId }: Json) => `/transactions/${String(transactionId)}`,
    ended: transactionConfirmed,
  };
  const body = '{"paymentMethod":"sim_ok"}';
  const path = `/orders/${orderId}/pay`;
  const placed = await ask(asker, loop, { path, token, body, ended: transactionConfirmed, later });
  return { ...placed, orderId };
}

async function cancelOrder(asker: Asker, loop: number, { orderId, token }: Created): Promise<Placed> {
  const path = `/orders/${orderId}/cancel`;
  const placed = await ask(asker, loop, { path, token, body: "{}", ended: sagaCompleted, later: AT_SAGA });
  return { ...placed, orderId };
}

interface Asker {
  readonly client: ApiClient;
  /** Asks by a GET for what a POST has begun; then it is known when that was accepted. */
  readonly follow: boolean;
}

async function ask({ client, follow }: Asker, loop: number, wish: Wish): Promise<Placed> {
  const { path, token, body, ended, later } = wish;
  const before = performance.now();
  const posted = await client.post(loop, path, token, body, !follow);
  const orderId = String(posted.body.orderId);
  if (posted.ended) {
    if (!ended(posted.body)) throw new Error("the end was answered before it came");
    return { orderId };
  }
  const acceptMs = performance.now() - before;
  await client.untilEnded(loop, later.path(posted.body), token, later.ended);
  return { orderId, ...(follow && { acceptMs }) };
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
