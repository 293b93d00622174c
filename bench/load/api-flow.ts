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
 * Orders by the public API: each made, paid or cancelled by a POST, then followed by a long poll to its end.
 * `pay` and `cancel` use up orders that `prepare` made before, `get` looks at such ones; `mixed` makes 70 %, pays 20 % and cancels 10 %, paid ones too.
 */
export function createApiFlow(target: ApiTarget, kind: FlowKind): Flow {
  const client = createApiClient(target);
  const unpaid: Created[] = [];
  const cancellable: Created[] = [];

  const place = async (basket: Basket): Promise<Placed> => {
    const token = client.nextToken();
    const { orderId, acceptMs } = await create(client, basket, token);
    if (kind !== "create") unpaid.push({ orderId, token });
    return { orderId, acceptMs };
  };
  const pay = async (loop: number): Promise<Placed> => {
    const order = unpaid.shift();
    if (order === undefined) throw new Error("no order is left to be paid: prepare more");
    const placed = await payOrder(client, loop, order);
    if (kind === "mixed") cancellable.push(order);
    return placed;
  };
  const cancel = async (loop: number): Promise<Placed> => {
    const order = cancellable.shift() ?? unpaid.shift();
    if (order === undefined) throw new Error("no order is left to be cancelled");
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

async function create(client: ApiClient, { loop, first, second }: Basket, token: string) {
  const body = `{"items":[{"productId":"${first}","quantity":1},{"productId":"${second}","quantity":2}]}`;
  const before = performance.now();
  const { orderId, sagaId } = await client.post(loop, "/orders", token, body);
  const acceptMs = performance.now() - before;
  await client.untilEnded(loop, `/orders/saga/${sagaId}`, token, sagaCompleted);
  return { orderId: String(orderId), acceptMs };
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
  const before = performance.now();
  const { sagaId } = await client.post(loop, `/orders/${orderId}/cancel`, token, "{}");
  const acceptMs = performance.now() - before;
  await client.untilEnded(loop, `/orders/saga/${sagaId}`, token, sagaCompleted);
  return { orderId, acceptMs };
}

function sagaCompleted(saga: Json): boolean {
  if (saga.state === "COMPENSATED")
    throw new Error(`the saga ended as ${JSON.stringify(saga).slice(0, 300)}`);
  return saga.state === "COMPLETED";
}
