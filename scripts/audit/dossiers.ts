import { EXPIRY_INTERVAL, PAYMENT_HOLD } from "./deadlines.ts";
import { type Feed, feed, mergeByKey } from "./merge.ts";
import type { World } from "./world.ts";

/** What every service says of one order. */
export interface Dossier {
  readonly orderId: string;
  order: Order | undefined;
  reservation: Reservation | undefined;
  readonly sagas: Saga[];
  readonly transactions: Transaction[];
  readonly payments: Payment[];
}

export interface Order {
  readonly key: string;
  readonly status: string;
  readonly saga_id: string;
  /** Amounts as text: compared, never computed with. */
  readonly total: string;
  readonly currency: string;
  /** Units of each product. */
  readonly lines: string | null;
}

export interface Reservation {
  readonly key: string;
  readonly status: string;
  /** Units of each product that it holds or has sold. */
  readonly lines: string | null;
  readonly expired: boolean;
  /** It has been what it is for longer than the grace. */
  readonly settled: boolean;
}

export interface Saga {
  readonly key: string;
  readonly id: string;
  readonly saga_type: string;
  readonly state: string;
}

export interface Transaction {
  readonly key: string;
  readonly id: string;
  readonly state: string;
}

export interface Payment {
  readonly key: string;
  readonly id: string;
  readonly gid: string | null;
  readonly status: string;
  readonly captured: string;
  readonly refunded: string;
  readonly currency: string;
  /** Nobody may wait for it any longer. */
  readonly expired: boolean;
}

const ORDERS = `
  select o.id as key, o.status, o.saga_id, o.total_minor::text as total, o.currency, l.lines
  from orders o
  left join (
    select order_id, string_agg(product_id || ' x ' || units, ', ' order by product_id) as lines
    from (select order_id, product_id, sum(quantity) as units from order_items group by order_id, product_id) unit
    group by order_id
  ) l on l.order_id = o.id
  order by o.id`;

const RESERVATIONS = `
  select h.order_id as key, h.status, l.lines, coalesce(h.updated_at < $1, true) as settled,
         coalesce(greatest(h.expires_at, l.expires_at) + interval '${EXPIRY_INTERVAL}' < $1, false) as expired
  from order_reservations h
  left join (
    select order_id, max(expires_at) as expires_at,
           string_agg(product_id || ' x ' || quantity, ', ' order by product_id)
             filter (where status in ('RESERVED', 'HELD', 'CONFIRMED')) as lines
    from stock_reservations group by order_id
  ) l on l.order_id = h.order_id
  order by h.order_id`;

const SAGAS = `
  select business_key as key, id, saga_type, state from saga_instances order by business_key`;

const TRANSACTIONS = `
  select business_key::uuid as key, id, state from tcc_transactions order by business_key::uuid`;

const PAYMENTS = `
  select order_id as key, id, gid::text as gid, status, captured_minor::text as captured, refunded_minor::text as refunded,
         currency, created_at + interval '${PAYMENT_HOLD}' < $1 as expired
  from payments order by order_id`;

/** Tables that the dossiers are made of, by what they tell. */
const TABLES = {
  order: ["orders", "order_items"],
  product: ["order_reservations", "stock_reservations"],
  saga: ["saga_instances"],
  transaction: ["tcc_transactions"],
  payment: ["payments"],
} as const;

export type Part = keyof typeof TABLES;
const PARTS = ["order", "product", "saga", "transaction", "payment"] as const satisfies readonly Part[];

/** Tables that a part of the dossiers lacks in this system; none: it is there. */
export function tablesMissing({ snapshots }: World, part: Part): readonly string[] {
  const { tables } = snapshots[part === "transaction" ? "saga" : part];
  return TABLES[part].filter((table) => !tables.has(table));
}

/** Shows the dossier of each order that any service knows, in the order of their ids. */
export async function readDossiers(world: World, visit: (dossier: Dossier) => void): Promise<void> {
  const { order, product, saga, payment } = world.snapshots;
  let dossier = emptyDossier("");
  const streams: Readonly<Record<Part, () => Feed>> = {
    order: () =>
      feed(order.stream<Order>(ORDERS), (row) => {
        dossier.order = row;
      }),
    product: () =>
      feed(product.stream<Reservation>(RESERVATIONS, [world.late("product")]), (row) => {
        dossier.reservation = row;
      }),
    saga: () => feed(saga.stream<Saga>(SAGAS), (row) => dossier.sagas.push(row)),
    transaction: () => feed(saga.stream<Transaction>(TRANSACTIONS), (row) => dossier.transactions.push(row)),
    payment: () =>
      feed(payment.stream<Payment>(PAYMENTS, [world.late("payment")]), (row) => dossier.payments.push(row)),
  };
  await mergeByKey(
    PARTS.filter((part) => tablesMissing(world, part).length === 0).map((part) => streams[part]()),
    (key) => {
      dossier = emptyDossier(key);
    },
    () => visit(dossier),
  );
}

function emptyDossier(orderId: string): Dossier {
  return { orderId, order: undefined, reservation: undefined, sagas: [], transactions: [], payments: [] };
}
