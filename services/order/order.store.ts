import type { Actions } from "../../lib/actions.ts";
import type { OrderStatus } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import type { Line, Reason } from "../../lib/events.ts";
import { statement } from "../../lib/statement.ts";
import { moveOf, type OrderCommand } from "./order.ts";
import { keepTombstones } from "./order-tombstones.store.ts";
import { countUnpaid, lockCustomers } from "./unpaid-orders.store.ts";

/** SQL that changes orders. Each function takes many; one is a batch of one. */

export type Draft = Actions["order.draft"]["params"];

const INSERT = statement(
  "order_insert",
  `insert into orders (id, customer_id, saga_id, status, total_minor, currency, shipping_address)
   select id, customer_id, saga_id, 'draft', total_minor, currency, address
   from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::jsonb[])
        as t(id, customer_id, saga_id, total_minor, currency, address)
   where not exists (select from order_tombstones d where d.order_id = t.id)
   on conflict (id) do nothing
   returning id`,
);
// The drafts of a customer that there is room for, in the order given; one that is there already takes none.
const INSERT_LIMITED = statement(
  "order_insert_limited",
  `insert into orders (id, customer_id, saga_id, status, total_minor, currency, shipping_address)
   select id, n.customer_id, saga_id, 'draft', total_minor, currency, address
   from (select t.*, row_number() over (partition by t.customer_id) as nth
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::jsonb[])
              as t(id, customer_id, saga_id, total_minor, currency, address)
         where not exists (select from order_tombstones d where d.order_id = t.id)
           and not exists (select from orders e where e.id = t.id)) n
   where nth <= $8 - ${countUnpaid("n.customer_id", "$7::uuid", "$8::int")}
   on conflict (id) do nothing
   returning id`,
);
const INSERT_ITEMS = statement(
  "order_insert_items",
  `insert into order_items (order_id, line, product_id, sku, quantity, price_minor)
   select * from unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::text[], $5::int[], $6::bigint[])`,
);
const INSERT_HISTORY = statement(
  "order_insert_history",
  `insert into order_status_history (order_id, version, status, reason_code, reason, actor)
   select * from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[])`,
);

/** How many unpaid orders a customer may have, and since when (a UUIDv7) one may be unpaid. */
export interface UnpaidLimit {
  readonly max: number;
  readonly since: string;
}

/**
 * Inserts drafts with lines and history, but of orders that were cancelled before and of customers that are at their
 * limit; answers the ids that are new.
 */
export async function insertDrafts(
  tx: Tx,
  drafts: readonly Draft[],
  limit?: UnpaidLimit,
): Promise<ReadonlySet<string>> {
  keepTombstones(tx);
  const customerIds = drafts.map((draft) => draft.customerId);
  if (limit) lockCustomers(tx, customerIds);
  const rows = await tx.query<{ id: string }>(limit ? INSERT_LIMITED : INSERT, [
    drafts.map((draft) => draft.orderId),
    customerIds,
    drafts.map((draft) => draft.sagaId),
    drafts.map((draft) => draft.totalMinor),
    drafts.map((draft) => draft.currency),
    drafts.map((draft) => (draft.shippingAddress ? JSON.stringify(draft.shippingAddress) : null)),
    ...(limit ? [limit.since, limit.max] : []),
  ]);
  const inserted = new Set(rows.map(({ id }) => id));
  const fresh = drafts.filter(({ orderId }) => inserted.has(orderId));
  if (fresh.length === 0) return inserted;
  const lines = fresh.flatMap(({ orderId, items }) =>
    items.map((item, index) => ({ orderId, line: index + 1, ...item })),
  );
  tx.send(INSERT_ITEMS, [
    lines.map((line) => line.orderId),
    lines.map((line) => line.line),
    lines.map((line) => line.productId),
    lines.map((line) => line.sku),
    lines.map((line) => line.quantity),
    lines.map((line) => line.priceMinor),
  ]);
  writeHistory(
    tx,
    fresh.map(({ orderId }) => ({ orderId, version: 1, status: "draft" })),
  );
  return inserted;
}

interface HistoryEntry {
  readonly orderId: string;
  readonly version: number;
  readonly status: OrderStatus;
  readonly reason?: Reason;
  readonly actor?: string;
}

function writeHistory(tx: Tx, entries: readonly HistoryEntry[]): void {
  tx.send(INSERT_HISTORY, [
    entries.map((entry) => entry.orderId),
    entries.map((entry) => entry.version),
    entries.map((entry) => entry.status),
    entries.map((entry) => entry.reason?.code ?? null),
    entries.map((entry) => entry.reason?.message ?? null),
    entries.map((entry) => entry.actor ?? null),
  ]);
}

export interface Move {
  readonly orderId: string;
  readonly reason?: Reason;
  readonly actor?: string;
}

export interface MovedOrder {
  readonly orderId: string;
  readonly customerId: string;
  readonly totalMinor: number;
  readonly currency: string;
  /** Version for the event that tells of the move. */
  readonly eventVersion: number;
  /** Its status until then. */
  readonly before: OrderStatus;
}

// The guard is in the where clause: an order in any other status is left as it is. Locked in id order, so
// that two batches cannot wait for each other.
const MOVE = statement(
  "order_move",
  `with target as (
     select o.id, o.status as before, t.code, t.message, t.actor
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as t(id, code, message, actor)
     join orders o on o.id = t.id
     where o.status = any($5)
     order by o.id
     for update of o
   )
   update orders o
   set status = $6, version = o.version + 1, event_version = o.event_version + $7, updated_at = now(),
       reason_code = target.code, reason_message = target.message,
       cancelled_at = case when $6 = 'cancelled' then now() else o.cancelled_at end,
       cancelled_by = case when $6 = 'cancelled' then target.actor else o.cancelled_by end
   from target
   where o.id = target.id
   returning o.id, o.customer_id, o.total_minor, o.currency, o.version, o.event_version, target.before`,
);

interface MovedRow {
  id: string;
  customer_id: string;
  total_minor: number;
  currency: string;
  version: number;
  event_version: number;
  before: OrderStatus;
}

/** Carries out a command on every order that may take it; answers those that moved. One that is told of takes an event version. */
export async function moveOrders(
  tx: Tx,
  command: OrderCommand,
  moves: readonly Move[],
): Promise<ReadonlyMap<string, MovedOrder>> {
  const { from, to, event } = moveOf(command);
  const rows = await tx.query<MovedRow>(MOVE, [
    moves.map((move) => move.orderId),
    moves.map((move) => move.reason?.code ?? null),
    moves.map((move) => move.reason?.message ?? null),
    moves.map((move) => move.actor ?? null),
    from,
    to,
    event === undefined ? 0 : 1,
  ]);
  const moveOfOrder = new Map(moves.map((move) => [move.orderId, move]));
  if (rows.length > 0) {
    writeHistory(
      tx,
      rows.map(({ id, version }) => ({ ...moveOfOrder.get(id), orderId: id, version, status: to })),
    );
  }
  return new Map(
    rows.map((row) => [
      row.id,
      {
        orderId: row.id,
        customerId: row.customer_id,
        totalMinor: row.total_minor,
        currency: row.currency,
        eventVersion: row.event_version,
        before: row.before,
      },
    ]),
  );
}

// Locked in id order, as every batch of orders is.
const NOTE_REASON = statement(
  "order_note_reason",
  `update orders o set reason_code = t.code, reason_message = t.message, updated_at = now()
   from unnest($1::uuid[], $2::text[], $3::text[]) as t(id, code, message),
        (select id from orders where id = any($1) and status = 'created' order by id for update) open
   where t.id = open.id and o.id = open.id`,
);

/** Notes why orders that are waiting to be paid were not, though their payment had never reached them. */
export function noteReasons(tx: Tx, moves: readonly Move[]): void {
  const noted = moves.flatMap(({ orderId, reason }) => (reason ? [{ orderId, reason }] : []));
  if (noted.length === 0) return;
  tx.send(NOTE_REASON, [
    noted.map(({ orderId }) => orderId),
    noted.map(({ reason }) => reason.code),
    noted.map(({ reason }) => reason.message),
  ]);
}

const FACTS = statement("order_facts", "select id, status, total_minor from orders where id = any($1)");

export interface OrderFacts {
  readonly status: OrderStatus;
  readonly totalMinor: number;
}

/** Status and total of orders that exist. */
export async function orderFacts(
  tx: Tx,
  orderIds: readonly string[],
): Promise<ReadonlyMap<string, OrderFacts>> {
  if (orderIds.length === 0) return new Map();
  const rows = await tx.query<{ id: string; status: OrderStatus; total_minor: number }>(FACTS, [orderIds]);
  return new Map(rows.map(({ id, status, total_minor }) => [id, { status, totalMinor: total_minor }]));
}

const BEFORE = statement(
  "order_before",
  `select o.id, h.status as before,
          (select json_agg(json_build_object('productId', i.product_id, 'quantity', i.quantity) order by i.line)
           from order_items i where i.order_id = o.id) as items
   from orders o
   join order_status_history h on h.order_id = o.id and h.version = o.version - 1
   where o.id = any($1)`,
);

export interface OrderBefore {
  /** The status before the latest move. */
  readonly before: OrderStatus;
  readonly items: readonly Line[];
}

/** What orders were before their latest move, and their lines. */
export async function ordersBefore(
  tx: Tx,
  orderIds: readonly string[],
): Promise<ReadonlyMap<string, OrderBefore>> {
  const rows = await tx.query<OrderBefore & { id: string }>(BEFORE, [orderIds]);
  return new Map(rows.map(({ id, ...order }) => [id, order]));
}
