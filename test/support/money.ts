import { randomUUID } from "node:crypto";
import type { OrderView, PaymentView, SagaView, TransactionView } from "../../lib/contracts.ts";
import type { Person } from "../../scripts/demo/tokens.ts";
import type { HttpAnswer } from "./http.ts";
import { ended, type Line, order } from "./shop.ts";
import type { System } from "./system.ts";
import { until } from "./until.ts";

/** What a customer and the staff do with money: pay, cancel, refund, and look what became of it. */

interface Asking {
  readonly as?: Person;
  readonly key?: string;
}

const WAIT_SECONDS = 5;
const endsMsMax = 60_000;

/** A confirmed order that nobody has paid yet. */
export async function created(system: System, items: readonly Line[]): Promise<OrderView> {
  const { orderId } = await order(system, items);
  const view = await ended(system, orderId);
  expect(view).toMatchObject({ status: "created" });
  return view;
}

export function pay(
  system: System,
  orderId: string,
  paymentMethod = "sim_ok",
  { as, key = randomUUID() }: Asking = {},
): Promise<HttpAnswer> {
  return system.api(`/orders/${orderId}/pay`, { as, key, body: { paymentMethod } });
}

/** Begins a payment that must be accepted; answers its transaction once that has ended. */
export async function settled(system: System, orderId: string, paymentMethod?: string) {
  const answer = await pay(system, orderId, paymentMethod);
  expect({ status: answer.status, body: answer.text }).toMatchObject({ status: 202 });
  return transactionEnded(system, String(answer.body?.transactionId));
}

export async function paid(system: System, items: readonly Line[]): Promise<OrderView> {
  const { orderId } = await created(system, items);
  expect(await settled(system, orderId)).toMatchObject({ state: "CONFIRMED" });
  const view = await orderOf(system, orderId);
  expect(view).toMatchObject({ status: "paid" });
  return view;
}

export function transactionEnded(system: System, transactionId: string): Promise<TransactionView> {
  return reached<TransactionView>(system, `/transactions/${transactionId}`, ({ state }) =>
    ["CONFIRMED", "CANCELLED"].includes(state),
  );
}

export function orderOf(system: System, orderId: string): Promise<OrderView> {
  return reached<OrderView>(system, `/orders/${orderId}`, () => true);
}

export function orderIs(system: System, orderId: string, wanted: string): Promise<OrderView> {
  // A draft is no end to wait for: with the preference the answer would come when it is none any more, or after 5 s.
  const waitSeconds = wanted === "draft" ? 0 : WAIT_SECONDS;
  return reached<OrderView>(system, `/orders/${orderId}`, ({ status }) => status === wanted, waitSeconds);
}

export async function paymentsOf(system: System, orderId: string): Promise<readonly PaymentView[]> {
  const { items } = await reached<{ items: readonly PaymentView[] }>(
    system,
    `/orders/${orderId}/payments`,
    () => true,
  );
  return items;
}

/** The one payment of an order. */
export async function paymentOf(system: System, orderId: string): Promise<PaymentView> {
  const payments = await paymentsOf(system, orderId);
  expect(payments).toHaveLength(1);
  return payments[0] as PaymentView;
}

/** Looks again until the payment is as wanted: the provider is asked for refunds by a worker. */
export function paymentIs(system: System, paymentId: string, wanted: string): Promise<PaymentView> {
  return reached<PaymentView>(system, `/payments/${paymentId}`, ({ status }) => status === wanted);
}

export function cancel(
  system: System,
  orderId: string,
  { as, key = randomUUID() }: Asking = {},
): Promise<HttpAnswer> {
  return system.api(`/orders/${orderId}/cancel`, { as, key, body: { reason: "changed my mind" } });
}

/** Cancels an order that must be cancellable; answers it once it is. */
export async function cancelled(system: System, orderId: string, as?: Person): Promise<OrderView> {
  const answer = await cancel(system, orderId, { as });
  expect({ status: answer.status, body: answer.text }).toMatchObject({ status: 202 });
  const sagaId = String(answer.body?.sagaId);
  await reached<SagaView>(system, `/orders/saga/${sagaId}`, ({ state }) =>
    ["COMPLETED", "COMPENSATED"].includes(state),
  );
  return orderIs(system, orderId, "cancelled");
}

export function refund(
  system: System,
  paymentId: string,
  amountMinor?: number,
  { as = "staff", key = randomUUID() }: Asking = {},
): Promise<HttpAnswer> {
  const body = { reason: "broken", ...(amountMinor !== undefined && { amountMinor }) };
  return system.api(`/payments/${paymentId}/refund`, { as, key, body });
}

/** What a refusal is told by; its text is for people. */
export const refusalOf = ({ status, body }: HttpAnswer) => ({ status, code: body?.code });

async function reached<View>(
  system: System,
  path: string,
  isThere: (view: View) => boolean,
  waitSeconds = WAIT_SECONDS,
): Promise<View> {
  let last = "nothing";
  return until(
    `${path} is as expected`,
    async () => {
      const answer = await system.api(path, { as: "staff", headers: { prefer: `wait=${waitSeconds}` } });
      last = `${answer.status} ${answer.text}`;
      if (answer.status !== 200) throw new Error(last);
      const view = answer.body as unknown as View;
      return isThere(view) ? view : undefined;
    },
    { timeoutMs: endsMsMax },
  ).catch((cause: unknown) => {
    throw new Error(`${path} did not become what was expected; last seen: ${last}`, { cause });
  });
}
