import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { OrderView } from "../../lib/contracts.ts";
import type { DemoFile } from "../demo/demo-file.ts";

/** Customers of a drill: they order, pay and cancel, and remember what they were told. */

export interface Driven {
  /** Accepted, and when the answer was there. */
  readonly orders: readonly { readonly orderId: string; readonly at: number }[];
  readonly paid: number;
}

const CUSTOMERS = 8;

export function drive(demo: DemoFile): { stop(): Promise<Driven> } {
  const orders: { orderId: string; at: number }[] = [];
  let paid = 0;
  let isOver = false;
  const customer = async () => {
    for (let turn = 0; !isOver; turn += 1) {
      const items = [{ productId: demo.products.plenty, quantity: 1 }];
      const { orderId } = await send<{ orderId: string }>(demo, "/orders", { items });
      orders.push({ orderId, at: Date.now() });
      // The others are left as the loss finds them.
      if (turn % 4 === 3) continue;
      if ((await settled(demo, orderId))?.status !== "created") continue;
      await send(demo, `/orders/${orderId}/pay`, {
        paymentMethod: turn % 4 === 2 ? "sim_declined" : "sim_ok",
      });
      paid += 1;
    }
  };
  const customers = Promise.all(Array.from({ length: CUSTOMERS }, customer));
  // Awaited at the stop.
  customers.catch(() => undefined);
  return {
    async stop() {
      isOver = true;
      await customers;
      return { orders, paid };
    },
  };
}

interface Fates {
  missing: number;
  /** In the middle of something after a minute. */
  open: number;
  readonly statuses: Record<string, number>;
}

const STEADY = ["created", "paid", "cancelled", "shipping", "completed"];
const ENDS_MS_MAX = 60_000;

/** What has become of orders. */
export async function fateOf(demo: DemoFile, orders: Driven["orders"]): Promise<Fates> {
  const fates: Fates = { missing: 0, open: 0, statuses: {} };
  const until = Date.now() + ENDS_MS_MAX;
  for (const { orderId } of orders) {
    const order = await settled(demo, orderId, until);
    if (order === undefined) fates.missing += 1;
    else {
      fates.statuses[order.status] = (fates.statuses[order.status] ?? 0) + 1;
      if (!STEADY.includes(order.status)) fates.open += 1;
    }
  }
  return fates;
}

/** The order once nothing moves it any more, or as it is at last. Undefined: there is none. */
async function settled(
  demo: DemoFile,
  orderId: string,
  until = Date.now() + ENDS_MS_MAX,
): Promise<OrderView | undefined> {
  let order = await view(demo, orderId);
  while (order !== undefined && !STEADY.includes(order.status) && Date.now() < until) {
    await delay(100);
    order = await view(demo, orderId);
  }
  return order;
}

async function view({ api, tokens }: DemoFile, orderId: string): Promise<OrderView | undefined> {
  const headers = { authorization: `Bearer ${tokens.customer}`, prefer: "wait=5" };
  const answer = await fetch(`${api}/orders/${orderId}`, { headers });
  const text = await answer.text();
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`order ${orderId}: ${answer.status} ${text}`);
  return JSON.parse(text) as OrderView;
}

async function send<View>({ api, tokens }: DemoFile, path: string, body: object): Promise<View> {
  const headers = {
    authorization: `Bearer ${tokens.customer}`,
    "content-type": "application/json",
    "idempotency-key": randomUUID(),
  };
  const answer = await fetch(api + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as View;
}
