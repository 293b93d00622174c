import type { Tx } from "../../lib/database.ts";
import type { Line } from "../../lib/events.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of reservations: a head per order, a line per product. */

export type HeadStatus = "RESERVED" | "REFUSED" | "RELEASED" | "HELD" | "CONFIRMED" | "EXPIRED";

export interface Head {
  readonly orderId: string;
  readonly status: HeadStatus;
  /** Version of the last event that told of it. */
  readonly eventVersion: number;
  readonly expiresAt: Date | null;
}

interface HeadRow {
  order_id: string;
  status: HeadStatus;
  event_version: number;
  expires_at: Date | null;
}

function headOf(row: HeadRow): Head {
  return {
    orderId: row.order_id,
    status: row.status,
    eventVersion: row.event_version,
    expiresAt: row.expires_at,
  };
}

// Opened or told again in one statement, so that heads are locked in one order, and all of them before any product.
// What is told again takes a new event version, whether its status changes or not.
const OPEN = statement(
  "reservation_open",
  `insert into order_reservations as h (order_id, status, expires_at)
   select id, $2, now() + ttl * interval '1 second' from unnest($1::uuid[], $3::int[]) as t(id, ttl) order by id
   on conflict (order_id) do update set event_version = h.event_version + 1, updated_at = now()
   returning order_id, status, event_version, expires_at`,
);

export interface Heads {
  /** Of orders that had none, with event version 1. */
  readonly opened: ReadonlyMap<string, Head>;
  /** As they were, with their next event version. */
  readonly known: ReadonlyMap<string, Head>;
}

/** Locks the heads of orders, opening those that are not there. */
export async function openHeads(
  tx: Tx,
  orderIds: readonly string[],
  status: "RESERVED" | "RELEASED",
  ttlSeconds: readonly number[],
): Promise<Heads> {
  const rows = await tx.query<HeadRow>(OPEN, [orderIds, status, ttlSeconds]);
  const heads = rows.map(headOf);
  const byOrder = (some: readonly Head[]) => new Map(some.map((head) => [head.orderId, head]));
  return {
    opened: byOrder(heads.filter(({ eventVersion }) => eventVersion === 1)),
    known: byOrder(heads.filter(({ eventVersion }) => eventVersion > 1)),
  };
}

const SET_STATUS = statement(
  "reservation_set_status",
  "update order_reservations set status = $2, expires_at = null, updated_at = now() where order_id = any($1)",
);

export function setHeadStatus(tx: Tx, orderIds: readonly string[], status: HeadStatus): void {
  if (orderIds.length > 0) tx.send(SET_STATUS, [orderIds, status]);
}

const INSERT_LINES = statement(
  "reservation_insert_lines",
  `insert into stock_reservations (order_id, product_id, quantity, status, expires_at)
   select order_id, product_id, quantity, 'RESERVED', now() + ttl * interval '1 second'
   from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::int[]) as t(order_id, product_id, quantity, ttl)`,
);

export interface ReservedLine extends Line {
  readonly orderId: string;
}

export function insertLines(tx: Tx, lines: readonly (ReservedLine & { ttlSeconds: number })[]): void {
  if (lines.length === 0) return;
  tx.send(INSERT_LINES, [
    lines.map((line) => line.orderId),
    lines.map((line) => line.productId),
    lines.map((line) => line.quantity),
    lines.map((line) => line.ttlSeconds),
  ]);
}

const SET_LINES = statement(
  "reservation_set_lines",
  `update stock_reservations set status = $3, updated_at = now()
   where order_id = any($1) and status = $2
   returning order_id, product_id, quantity`,
);

export type LineStatus = "RESERVED" | "RELEASED" | "HELD" | "CONFIRMED" | "EXPIRED";

/** Moves the lines of orders whose heads are locked; answers those that moved. */
export async function moveLines(
  tx: Tx,
  orderIds: readonly string[],
  from: LineStatus,
  to: LineStatus,
): Promise<ReservedLine[]> {
  if (orderIds.length === 0) return [];
  const rows = await tx.query<{ order_id: string; product_id: string; quantity: number }>(SET_LINES, [
    orderIds,
    from,
    to,
  ]);
  return rows.map((row) => ({ orderId: row.order_id, productId: row.product_id, quantity: row.quantity }));
}

/** The same where nobody needs to know which. */
export function sendLines(tx: Tx, orderIds: readonly string[], from: LineStatus, to: LineStatus): void {
  if (orderIds.length > 0) tx.send(SET_LINES, [orderIds, from, to]);
}
