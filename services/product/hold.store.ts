import type { Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import type { HeadStatus } from "./reservation.store.ts";
import type { Command } from "./stock.commands.ts";

/** SQL of holds: a reservation that a global transaction keeps past its expiry. */

export interface HeldHead {
  readonly orderId: string;
  readonly status: HeadStatus;
  /** Version of the last event that told of it. */
  readonly eventVersion: number;
  readonly heldBy: string | null;
  readonly madeByHold: boolean;
  /** Came while it was held, and waits for the hold's end. */
  readonly releaseAsked: Command<"RELEASE_STOCK"> | null;
}

const LOCK = statement(
  "hold_lock",
  `select order_id as "orderId", status, event_version as "eventVersion", held_by as "heldBy", made_by_hold as "madeByHold",
     release_asked as "releaseAsked"
   from order_reservations where order_id = any($1) order by order_id for update`,
);

/** Locks heads, in id order as everywhere. */
export async function lockHeads(tx: Tx, orderIds: readonly string[]): Promise<ReadonlyMap<string, HeldHead>> {
  const rows = await tx.query<HeldHead>(LOCK, [orderIds]);
  return new Map(rows.map((head) => [head.orderId, head]));
}

const HOLD = statement(
  "hold_take",
  `update order_reservations h set status = 'HELD', held_by = t.gid, made_by_hold = t.made, expires_at = null,
     updated_at = now()
   from unnest($1::uuid[], $2::uuid[], $3::boolean[]) as t(order_id, gid, made)
   where h.order_id = t.order_id`,
);

export interface Hold {
  readonly orderId: string;
  readonly gid: string;
  /** The hold itself made the reservation: its end is a release. */
  readonly made: boolean;
}

export function takeHolds(tx: Tx, holds: readonly Hold[]): void {
  if (holds.length === 0) return;
  tx.send(HOLD, [
    holds.map(({ orderId }) => orderId),
    holds.map(({ gid }) => gid),
    holds.map(({ made }) => made),
  ]);
}

const END = statement(
  "hold_end",
  `update order_reservations h set status = $2, held_by = null, release_asked = null,
     event_version = h.event_version + $3, updated_at = now(),
     expires_at = case when $2 = 'RESERVED' then
       (select greatest(min(l.expires_at), now() + $4 * interval '1 second') from stock_reservations l
        where l.order_id = h.order_id) end
   where h.order_id = any($1)`,
);

/** Ends holds, of heads that are locked; their event version rises by one, but for a reservation that goes on: that has at least `graceSeconds` left. */
export function endHolds(
  tx: Tx,
  orderIds: readonly string[],
  status: "CONFIRMED" | "RESERVED" | "RELEASED",
  graceSeconds: number,
): void {
  if (orderIds.length === 0) return;
  const told = status === "RESERVED" ? 0 : 1;
  tx.send(END, [orderIds, status, told, graceSeconds]);
}

const POSTPONE = statement(
  "hold_postpone_release",
  `update order_reservations h set release_asked = t.command
   from unnest($1::uuid[], $2::json[]) as t(order_id, command) where h.order_id = t.order_id`,
);

/** Of heads that are locked and held: their release follows the end of the hold. */
export function postponeReleases(tx: Tx, commands: readonly Command<"RELEASE_STOCK">[]): void {
  if (commands.length === 0) return;
  tx.send(POSTPONE, [
    commands.map(({ data }) => data.orderId),
    commands.map((command) => JSON.stringify(command)),
  ]);
}

const EXPIRED = statement(
  "reservation_expire",
  `update order_reservations h set status = 'EXPIRED', event_version = h.event_version + 1, updated_at = now(),
     expires_at = null
   where h.order_id = any(array(
     select order_id from order_reservations where status = 'RESERVED' and expires_at <= now()
     order by expires_at limit $1 for update skip locked))
   returning h.order_id, h.event_version`,
);

/** Ends reservations whose time has passed; those held by a transaction are not among them. */
export async function expireHeads(
  tx: Tx,
  limit: number,
): Promise<readonly { orderId: string; eventVersion: number }[]> {
  const rows = await tx.query<{ order_id: string; event_version: number }>(EXPIRED, [limit]);
  return rows.map((row) => ({ orderId: row.order_id, eventVersion: row.event_version }));
}

const OVERDUE = statement(
  "hold_overdue",
  `select order_id as "orderId", held_by as gid from order_reservations
   where status = 'HELD' and updated_at <= now() - $1 * interval '1 second' order by updated_at limit $2`,
);

/** Holds that have outlived the longest transaction: their coordinator is to be asked. */
export function overdueHolds(
  database: Pick<Tx, "query">,
  seconds: number,
  limit: number,
): Promise<{ orderId: string; gid: string }[]> {
  return database.query(OVERDUE, [seconds, limit]);
}
