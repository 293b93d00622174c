import { type Database, withTransaction } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import { appendToTrail } from "../../mixins/audit-trail.store.ts";
import type { Databases } from "./system.ts";

export interface Erased {
  readonly customers: number;
  readonly orders: number;
}

/** Orders of the customer that still have to be delivered or undone: their address is needed. */
export class OrdersOpenError extends Error {
  constructor(orderIds: readonly string[]) {
    super(`these orders have not ended: ${orderIds.join(", ")}`);
    this.name = "OrdersOpenError";
  }
}

const STEP = 200;
const OPEN = statement(
  "erase_open_orders",
  `select id from orders where customer_id = $1 and status not in ('completed', 'cancelled') order by id limit 10`,
);
const ORDERS = statement(
  "erase_orders",
  `select id from orders where customer_id = $1 and ($2::uuid is null or id > $2) order by id limit $3`,
);
const ORDER = statement(
  "erase_order",
  `update orders set shipping_address = null,
     reason_message = case when reason_code like 'CANCELLED\\_BY\\_%' then '' else reason_message end
   where id = any($1)`,
);
const HISTORY = statement(
  "erase_order_history",
  `update order_status_history set reason = '' where order_id = any($1) and reason_code like 'CANCELLED\\_BY\\_%'`,
);
const SAGAS = statement(
  "erase_sagas",
  "select id, input, progress from saga_instances where business_key = any($1) and wake_at is null for update",
);
const SAGA = statement("erase_saga", "update saga_instances set input = $2, progress = $3 where id = $1");
const SAGAS_OPEN = statement(
  "erase_sagas_open",
  "select business_key as id from saga_instances where business_key = any($1) and wake_at is not null",
);
const CUSTOMER = statement(
  "erase_customer",
  `update customers set name = '', email = '', email_index = null, status = 'inactive', version = version + 1,
     updated_at = now()
   where id = $1 returning id`,
);
const ANSWERS = statement(
  "erase_answers",
  "delete from idempotency_records where response_data ->> 'customerId' = $1",
);

/**
 * Overwrites what is stored of a person: name and address, the addresses of their orders, what they typed. The orders
 * stay, without them. Repeating it is harmless. @throws OrdersOpenError what is not finished was left as it is
 */
export async function eraseCustomer(databases: Databases, customerId: string): Promise<Erased> {
  const order = databases("order");
  const open = await order.query<{ id: string }>(OPEN, [customerId]);
  if (open.length > 0) throw new OrdersOpenError(open.map(({ id }) => id));
  // First of all no more orders come: an inactive customer cannot place any.
  const customers = await withTransaction(databases("customer"), async (tx) => {
    tx.send(ANSWERS, [customerId]);
    const rows = await tx.query(CUSTOMER, [customerId]);
    appendToTrail(tx, [
      { actor: "npm run erase", action: "customer.erase", target: `customer ${customerId}` },
    ]);
    return rows.length;
  });
  let orders = 0;
  let after: string | null = null;
  let ids: string[];
  do {
    const page: { id: string }[] = await order.query(ORDERS, [customerId, after, STEP]);
    ids = page.map(({ id }) => id);
    if (ids.length > 0) await eraseOrders(order, databases("saga"), ids);
    orders += ids.length;
    after = ids.at(-1) ?? null;
  } while (ids.length === STEP);
  return { customers, orders };
}

async function eraseOrders(order: Database, saga: Database, orderIds: readonly string[]): Promise<void> {
  const open = await saga.query<{ id: string }>(SAGAS_OPEN, [orderIds]);
  if (open.length > 0) throw new OrdersOpenError(open.map(({ id }) => id));
  await withTransaction(order, async (tx) => {
    tx.send(ORDER, [orderIds]);
    tx.send(HISTORY, [orderIds]);
  });
  await withTransaction(saga, async (tx) => {
    const sagas = await tx.query<{ id: string; input: object; progress: object }>(SAGAS, [orderIds]);
    for (const { id, input, progress } of sagas) {
      const [bare, told] = [withoutPerson(input), withoutPerson(progress)].map((one) => JSON.stringify(one));
      tx.send(SAGA, [id, bare, told]);
    }
  });
}

/** Without addresses, and without what was typed as the reason of a cancellation. */
function withoutPerson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPerson);
  if (typeof value !== "object" || value === null) return value;
  const { code } = value as { readonly code?: unknown };
  const typed = typeof code === "string" && code.startsWith("CANCELLED_BY_");
  const entries = Object.entries(value).filter(([name]) => name !== "shippingAddress");
  return Object.fromEntries(
    entries.map(([name, field]) => [name, typed && name === "message" ? "" : withoutPerson(field)]),
  );
}
