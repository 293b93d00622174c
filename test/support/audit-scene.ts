import {
  cancellationOf,
  ID,
  PRICES,
  paymentOf,
  refundOf,
  STORIES,
  type Story,
  sagaOf,
  totalOf,
  transactionOf,
} from "./audit-stories.ts";
import { type Row, Tables, uuid } from "./audit-tables.ts";

/** Everything that has to be there with the stories' orders: what the audit has to find nothing wrong with. */

const ORDER_EVENTS: Readonly<Record<string, string>> = {
  draft: "ORDER_CREATED",
  created: "ORDER_CONFIRMED",
  paid: "ORDER_PAID",
  completed: "ORDER_COMPLETED",
  cancelling: "ORDER_CANCELLATION_REQUESTED",
  cancelled: "ORDER_CANCELLED",
};
const RESERVATION_EVENTS: Readonly<Record<string, readonly string[]>> = {
  RESERVED: ["STOCK_RESERVED"],
  HELD: ["STOCK_RESERVED"],
  CONFIRMED: ["STOCK_RESERVED", "STOCK_CONFIRMED"],
  REFUSED: ["STOCK_RESERVATION_FAILED"],
  RELEASED: ["STOCK_RESERVED", "STOCK_CONFIRMED", "STOCK_RELEASED"],
};

const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
export function buildScene(): Tables {
  const tables = new Tables();
  for (const story of STORIES) {
    addSagas(tables, story);
    addOrder(tables, story);
    addReservation(tables, story);
    addPayment(tables, story);
  }
  addProducts(tables);
  addPoison(tables);
  tables.finish();
  return tables;
}

function addSagas(tables: Tables, story: Story): void {
  const { orderId, path } = story;
  const saga = (id: string, saga_type: string, state: string, published: number): Row => ({
    ...{ id, saga_type, state, published, attempt: 0, version: 9, business_key: orderId },
    ...{ owner_id: ID.customer, correlation_id: "scene", input: {}, progress: {} },
  });
  const answer = (operation: string, response_data: Row) =>
    tables.add("saga", "idempotency_records", {
      ...{ subject: ID.customer, key: `${operation}-${orderId}`, operation, request_hash: "" },
      ...{ status: "COMPLETED", response_status: 202, response_data },
    });
  const state = story.reservation === "REFUSED" ? "COMPENSATED" : "COMPLETED";
  const [create, cancel] = [sagaOf(orderId), cancellationOf(orderId)];
  tables.add("saga", "saga_instances", saga(create, "CREATE_ORDER", state, 1));
  tables.event({ database: "saga", aggregate: "saga", id: create, type: "RESERVE_STOCK" });
  answer("create", { orderId, sagaId: create, status: "processing" });
  if (story.payment !== undefined) {
    answer("pay", { orderId, transactionId: transactionOf(orderId), status: "processing" });
    tables.add("saga", "tcc_transactions", {
      ...{
        id: transactionOf(orderId),
        tcc_type: "PAY_ORDER",
        business_key: orderId,
        expires_at: inMinutes(14),
      },
      ...(path.includes("paid") ? { state: "CONFIRMED" } : { state: "TRYING", wake_at: inMinutes(0.1) }),
    });
  }
  if (!path.includes("cancelling")) return;
  tables.add("saga", "saga_instances", saga(cancel, "CANCEL_ORDER", "COMPLETED", 2));
  for (const type of ["RELEASE_STOCK", "REFUND_PAYMENT"])
    tables.event({ database: "saga", aggregate: "saga", id: cancel, type });
  answer("cancel", { sagaId: cancel });
}

function addOrder(tables: Tables, story: Story): void {
  const { orderId: order_id, path, lines } = story;
  const types = path.flatMap((status) => ORDER_EVENTS[status] ?? []);
  tables.add("order", "orders", {
    ...{ id: order_id, customer_id: ID.customer, saga_id: sagaOf(order_id), status: path.at(-1) },
    ...{ total_minor: totalOf(story), currency: "EUR", version: path.length, event_version: types.length },
  });
  path.forEach((status, index) => {
    tables.add("order", "order_status_history", { order_id, version: index + 1, status });
  });
  Object.entries(lines).forEach(([product_id, quantity], index) => {
    const price_minor = PRICES[product_id];
    tables.add("order", "order_items", {
      order_id,
      line: index + 1,
      product_id,
      sku: "SKU",
      quantity,
      price_minor,
    });
  });
  for (const type of types) tables.event({ database: "order", aggregate: "order", id: order_id, type });
}

function addReservation(tables: Tables, { orderId: order_id, lines, reservation: status }: Story): void {
  const types = RESERVATION_EVENTS[status] ?? [];
  const expires_at = inMinutes(15);
  tables.add("product", "order_reservations", { order_id, status, event_version: types.length, expires_at });
  if (status !== "REFUSED") {
    for (const [product_id, quantity] of Object.entries(lines))
      tables.add("product", "stock_reservations", { order_id, product_id, quantity, status, expires_at });
  }
  for (const type of types) {
    const data = { orderId: order_id, sagaId: sagaOf(order_id) };
    tables.event({ database: "product", aggregate: "reservation", id: order_id, type, data });
  }
}

function addPayment(tables: Tables, story: Story): void {
  const { orderId: order_id, payment } = story;
  if (payment === undefined) return;
  const [id, amount_minor, refunded_minor] = [paymentOf(order_id), totalOf(story), payment.refunded ?? 0];
  const captured_minor = payment.status === "reserved" ? 0 : amount_minor;
  const tell = (type: string, data: Row = {}) =>
    tables.event({ database: "payment", aggregate: "payment", id, type, data });
  tables.add("payment", "payments", {
    ...{ id, order_id, customer_id: ID.customer, gid: transactionOf(order_id), status: payment.status },
    ...{ amount_minor, captured_minor, refunded_minor, currency: "EUR" },
  });
  const attempt = (number: number, operation: string) => ({
    ...{ id: uuid(number * 0x100 + Number.parseInt(order_id.slice(-2), 16)), payment_id: id, operation },
    ...{ status: "succeeded", amount_minor, finished_at: inMinutes(0) },
  });
  tables.add("payment", "payment_attempts", attempt(0xd1, "authorise"));
  tell("PAYMENT_RESERVED");
  if (captured_minor === 0) return;
  tables.add("payment", "payment_attempts", attempt(0xd2, "capture"));
  addPosting(tables, { payment_id: id, refund_id: null }, ["provider", "sales"], captured_minor);
  tell("PAYMENT_COMPLETED");
  if (refunded_minor === 0) return;
  const refund_id = refundOf(order_id);
  tables.add("payment", "refunds", {
    ...{ id: refund_id, payment_id: id, amount_minor: refunded_minor, status: "succeeded" },
  });
  addPosting(tables, { payment_id: id, refund_id }, ["sales", "provider"], refunded_minor);
  tell("PAYMENT_REFUNDED", story.path.includes("cancelling") ? { sagaId: cancellationOf(order_id) } : {});
}

function addPosting(
  tables: Tables,
  of: Row,
  [debit, credit]: readonly [string, string],
  amount: number,
): void {
  const entry = { ...of, amount_minor: amount, currency: "EUR" };
  tables.add("payment", "ledger_entries", { ...entry, account: debit, direction: "debit" });
  tables.add("payment", "ledger_entries", { ...entry, account: credit, direction: "credit" });
}

/** 95 nails of which 2 are reserved and 9 sold, 10 lamps of which 3 are reserved. */
function addProducts(tables: Tables): void {
  const product = (id: string, available: number, reserved: number, sold: number, version: number) =>
    tables.add("product", "products", {
      ...{ id, sku: id, name: "Something", price_minor: PRICES[id], currency: "EUR" },
      ...{ available, reserved, sold, version },
    });
  product(ID.nails, 84, 2, 9, 0);
  product(ID.lamps, 7, 3, 0, 1);
  const adjusted = (number: number, product_id: string, delta: number) =>
    tables.add("product", "stock_adjustments", {
      ...{ id: uuid(number), product_id, delta, reason: "counted", actor: "scene" },
    });
  adjusted(0xad1, ID.nails, 100);
  adjusted(0xad2, ID.nails, -5);
  adjusted(0xad3, ID.lamps, 10);
  const adjustment = {
    database: "product",
    aggregate: "product",
    id: ID.lamps,
    type: "STOCK_ADJUSTED",
  } as const;
  const id = tables.event({ ...adjustment, status: "FAILED" });
  const data = {
    source: "outbox",
    topic: "oms.products.events",
    position: 1,
    error: "too large",
    attempts: 5,
  };
  tables.event({ database: "product", aggregate: "dead-letter", id, type: "DEAD_LETTER", data });
}

/** Somebody has put rubbish on the bus, and it was put aside. */
function addPoison(tables: Tables): void {
  const place = tables.publish("saga", uuid(0xbad), "{rubbish", {});
  const consumer_group = "product-service-group";
  const inbox = { consumer_group, event_id: uuid(0xbad), event_type: "UNREADABLE", result: "DEAD_LETTERED" };
  tables.add("product", "processed_events", { ...inbox, ...place });
  const error = { type: "EVENT_INVALID", message: "the value is not JSON" };
  const data = { source: consumer_group, ...place, offset: String(place.offset), error, attempts: 1 };
  tables.event({ database: "product", aggregate: "dead-letter", id: uuid(0xbad), type: "DEAD_LETTER", data });
}
