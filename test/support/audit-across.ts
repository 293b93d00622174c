import type { Sql } from "./system.ts";

/** Rules that hold between databases: what one service says of an order fits what the others say. */

interface Order {
  readonly id: string;
  readonly status: string;
  readonly saga_id: string;
  readonly customer_id: string;
  /** Product and quantity, in the order of the products. */
  readonly lines: string | null;
}

interface Reservation {
  readonly order_id: string;
  readonly status: string;
  readonly lines: string | null;
}

interface Saga {
  readonly id: string;
  readonly state: string;
  readonly business_key: string;
  readonly owner_id: string;
}

const shownMax = 5;
/** What a reservation is while the order has this status; an order of any other status holds nothing. */
const held: Readonly<Record<string, readonly string[]>> = {
  created: ["RESERVED"],
  paying: ["RESERVED", "HELD"],
  paid: ["CONFIRMED"],
  shipping: ["CONFIRMED"],
  completed: ["CONFIRMED"],
};

export async function crossAudit(sql: Sql): Promise<string[]> {
  const orders = await sql<Order>(
    "order",
    `select id, status, saga_id, customer_id, lines from orders left join (
       select order_id, string_agg(product_id || ' ' || quantity, ', ' order by product_id) as lines
       from (select order_id, product_id, sum(quantity) as quantity from order_items group by order_id, product_id) i
       group by order_id
     ) l on l.order_id = id`,
  );
  const reservations = await sql<Reservation>(
    "product",
    `select order_id, status, lines from order_reservations left join (
       select order_id, string_agg(product_id || ' ' || quantity, ', ' order by product_id) as lines
       from stock_reservations where status in ('RESERVED', 'HELD', 'CONFIRMED') group by order_id
     ) l using (order_id)`,
  );
  const sagas = await sql<Saga>(
    "saga",
    "select id, state, business_key, owner_id from saga_instances where saga_type = 'CREATE_ORDER'",
  );
  return [...holdings(orders, reservations), ...outcomes(orders, sagas)].flatMap(([rule, found]) =>
    found.length === 0 ? [] : [`${rule}: ${found.length} violations: ${found.slice(0, shownMax).join("; ")}`],
  );
}

type Finding = readonly [rule: string, found: readonly string[]];

function holdings(orders: readonly Order[], reservations: readonly Reservation[]): Finding[] {
  const byOrder = new Map(reservations.map((one) => [one.order_id, one]));
  const known = new Set(orders.map(({ id }) => id));
  const short = orders.filter(({ id, status, lines }) => {
    const reservation = byOrder.get(id);
    const expected = held[status];
    if (expected === undefined) return reservation?.lines != null;
    return !expected.includes(reservation?.status ?? "none") || reservation?.lines !== lines;
  });
  const show = ({ id, status, lines }: Order) =>
    `${status} ${id} [${lines}] holds ${byOrder.get(id)?.status} [${byOrder.get(id)?.lines}]`;
  const orphans = reservations.filter(({ order_id, lines }) => lines !== null && !known.has(order_id));
  return [
    ["every created order holds exactly its lines, every cancelled one nothing", short.map(show)],
    ["nothing is held for an order that does not exist", orphans.map(({ order_id }) => order_id)],
  ];
}

function outcomes(orders: readonly Order[], sagas: readonly Saga[]): Finding[] {
  const byId = new Map(sagas.map((saga) => [saga.id, saga]));
  const strangers = orders.filter((order) => {
    const saga = byId.get(order.saga_id);
    return saga?.business_key !== order.id || saga.owner_id !== order.customer_id;
  });
  const byOrder = new Map(orders.map((order) => [order.id, order]));
  const wrong = sagas.filter(({ state, business_key }) => {
    const status = byOrder.get(business_key)?.status;
    // One that failed before its draft has no order; GET answers from the saga.
    if (state === "COMPENSATED") return status !== undefined && status !== "cancelled";
    return state === "COMPLETED" && (status === undefined || status === "draft");
  });
  const show = ({ id, state, business_key }: Saga) =>
    `${state} saga ${id}, order ${byOrder.get(business_key)?.status}`;
  return [
    ["every order is that of its saga, for the saga's owner", strangers.map(({ id }) => id)],
    ["an order ends as its saga does", wrong.map(show)],
  ];
}
