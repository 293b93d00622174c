import { randomUUID } from "node:crypto";
import pg from "pg";
import type { Person } from "../../scripts/demo/tokens.ts";
import type { HttpAnswer } from "./http.ts";
import type { System } from "./system.ts";
import { until } from "./until.ts";

/**
 * What people do with an order, by clients that do not give up: each asks again, under the same Idempotency-Key,
 * until the answer is definite, and then looks until all is at its end. So a flow goes on through any restart.
 */
export interface Flow {
  readonly name: string;
  /** Brings an order to where this begins. */
  prepare(system: FlowSystem): Promise<Begun>;
  /** Does it, and waits for its end. */
  act(system: FlowSystem, begun: Begun): Promise<Begun>;
}

/** What a flow needs of the system it runs in. */
export type FlowSystem = Pick<System, "api" | "sql" | "demo">;

export interface Begun {
  readonly orderId: string;
  readonly transactionId?: string;
}

const endMsMax = 60_000;
const heldMsMax = 10_000;
/** Outcomes to be asked for again; anything else is an answer. */
const isOpen = (status: number) => status >= 500 || status === 409 || status === 429;

interface Wanted {
  readonly path: string;
  readonly body: object;
  readonly as?: Person;
}

/** Asks until there is an answer that is 2xx. Another definite one is an error at once. */
async function insist(system: FlowSystem, { path, body, as }: Wanted): Promise<HttpAnswer> {
  const key = randomUUID();
  const answer = await until(
    `an answer to ${path}`,
    async () => {
      const given = await system.api(path, { as, key, body, timeoutMs: 10_000 });
      if (isOpen(given.status)) throw new Error(given.text);
      return given;
    },
    { timeoutMs: endMsMax },
  );
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${answer.text}`);
  return answer;
}

/** Waits until that field of what is at that path has this value. */
async function becomes(system: FlowSystem, path: string, field: string, value: string): Promise<void> {
  let last = "nothing";
  await until(
    `${path} is ${value}`,
    async () => {
      const { text, body } = await system.api(path, { timeoutMs: 10_000 });
      last = text;
      return body?.[field] === value;
    },
    { timeoutMs: endMsMax },
  ).catch((cause: unknown) => {
    throw new Error(`${path} did not become ${value}; last seen: ${last}`, { cause });
  });
}

async function placed(system: FlowSystem): Promise<Begun> {
  const items = [{ productId: system.demo.products.plenty, quantity: 2 }];
  const { body } = await insist(system, { path: "/orders", body: { items } });
  return { orderId: String(body?.orderId) };
}

async function created(system: FlowSystem): Promise<Begun> {
  const begun = await placed(system);
  await becomes(system, `/orders/${begun.orderId}`, "status", "created");
  return begun;
}

const pay =
  (paymentMethod: string, state: string, status: string): Flow["act"] =>
  async (system, { orderId }) => {
    const { body } = await insist(system, { path: `/orders/${orderId}/pay`, body: { paymentMethod } });
    const transactionId = String(body?.transactionId);
    await becomes(system, `/transactions/${transactionId}`, "state", state);
    await becomes(system, `/orders/${orderId}`, "status", status);
    return { orderId, transactionId };
  };

const payOk = pay("sim_ok", "CONFIRMED", "paid");
const paid: Flow["prepare"] = async (system) => payOk(system, await created(system));

const cancel: Flow["act"] = async (system, begun) => {
  await insist(system, { path: `/orders/${begun.orderId}/cancel`, body: {} });
  await becomes(system, `/orders/${begun.orderId}`, "status", "cancelled");
  return begun;
};

/** As long as somebody else holds the product's row no stock can be reserved: its orders stay drafts. */
const cancelDraft: Flow["act"] = async (system) => {
  const holder = new pg.Client({ connectionString: system.demo.databases.product });
  await holder.connect();
  let begun: Begun;
  let timer: NodeJS.Timeout | undefined;
  try {
    await holder.query("begin");
    await holder.query("select 1 from products where id = $1 for update", [system.demo.products.plenty]);
    begun = await placed(system);
    // A creation that has given up by itself meanwhile waits for the stock too.
    timer = setTimeout(() => void holder.end(), heldMsMax);
    await insist(system, { path: `/orders/${begun.orderId}/cancel`, body: {} }).catch(
      async (error: unknown) => {
        const { body } = await system.api(`/orders/${begun.orderId}`);
        if (body?.status !== "cancelled") throw error;
      },
    );
  } finally {
    clearTimeout(timer);
    // Its transaction ends with it.
    await holder.end();
  }
  await becomes(system, `/orders/${begun.orderId}`, "status", "cancelled");
  return begun;
};

/** Nobody pays: the time of its reservation is over. */
const expire: Flow["act"] = async (system, begun) => {
  const timeIsOver = "update order_reservations set expires_at = now() where order_id = $1";
  await system.sql("product", timeIsOver, [begun.orderId]);
  await becomes(system, `/orders/${begun.orderId}`, "status", "cancelled");
  return begun;
};

const refund: Flow["act"] = async (system, begun) => {
  const paymentId = await until("the payment is seen", () => paymentOf(system, begun.orderId));
  await insist(system, { path: `/payments/${paymentId}/refund`, body: { reason: "broken" }, as: "staff" });
  await becomes(system, `/payments/${paymentId}`, "status", "refunded");
  return begun;
};

async function paymentOf(system: FlowSystem, orderId: string): Promise<string | undefined> {
  const [row] = await system.sql<{ id: string }>(
    "payment",
    "select id from payments where order_id = $1 and status = 'captured'",
    [orderId],
  );
  return row?.id;
}

const nothing: Flow["prepare"] = async () => ({ orderId: "" });

export const FLOWS = {
  create: { name: "create", prepare: nothing, act: created },
  "cancel draft": { name: "cancel draft", prepare: nothing, act: cancelDraft },
  "cancel created": { name: "cancel created", prepare: created, act: cancel },
  pay: { name: "pay", prepare: created, act: payOk },
  "pay, declined": {
    name: "pay, declined",
    prepare: created,
    act: pay("sim_declined", "CANCELLED", "created"),
  },
  "pay, capture declined": {
    name: "pay, capture declined",
    prepare: created,
    act: pay("sim_capture_declined", "CANCELLED", "created"),
  },
  "cancel paid": { name: "cancel paid", prepare: paid, act: cancel },
  refund: { name: "refund", prepare: paid, act: refund },
  expiry: { name: "expiry", prepare: created, act: expire },
} as const satisfies Readonly<Record<string, Flow>>;
