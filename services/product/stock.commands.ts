import type { Tx } from "../../lib/database.ts";
import type { EventData, Line } from "../../lib/events.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import { lockHeads, postponeReleases } from "./hold.store.ts";
import { giveBackStock, lockStock, takeBackSold, takeStock } from "./product.store.ts";
import {
  type Head,
  type HeadStatus,
  insertLines,
  moveLines,
  openHeads,
  setHeadStatus,
} from "./reservation.store.ts";
import { allocate, quantities, type Shortage } from "./reservation.ts";

/** Reserving and releasing for many orders at once, inside the transaction that records their commands. */

export interface Command<Type extends "RESERVE_STOCK" | "RELEASE_STOCK"> {
  readonly data: EventData[Type];
  readonly correlationId: string;
  readonly causationId: string;
}

/**
 * All lines of an order or none. An order that was asked for before is told again what became of it; one
 * whose release came first stays released.
 */
export async function reserveStock(
  tx: Tx,
  commands: readonly Command<"RESERVE_STOCK">[],
  defaultTtlSeconds: number,
): Promise<NewEvent[]> {
  const byOrder = lastByOrder(commands);
  const orderIds = [...byOrder.keys()];
  const ttlOf = (orderId: string) => byOrder.get(orderId)?.data.ttlSeconds ?? defaultTtlSeconds;
  // Heads and products are locked in one round trip: heads first, as everywhere.
  const [{ opened, known }, available] = await Promise.all([
    openHeads(tx, orderIds, "RESERVED", orderIds.map(ttlOf)),
    lockStock(tx, productsOf(commands.map(({ data }) => data.items))),
  ]);

  const wanted = orderIds.flatMap((orderId) => {
    const command = byOrder.get(orderId);
    return command && opened.has(orderId) ? [{ orderId, items: command.data.items, command }] : [];
  });
  const { reserved, refused, taken } = allocate(available, wanted);
  await takeStock(tx, taken);
  insertLines(
    tx,
    reserved.flatMap(({ orderId, items }) =>
      [...quantities(items)].map(([productId, quantity]) => ({
        orderId,
        productId,
        quantity,
        ttlSeconds: ttlOf(orderId),
      })),
    ),
  );
  setHeadStatus(
    tx,
    refused.map(({ order }) => order.orderId),
    "REFUSED",
  );
  return [
    ...reserved.flatMap(({ orderId, command }) => told(command, opened.get(orderId))),
    ...refused.flatMap(({ order, shortage }) => failed(order.command, opened.get(order.orderId), shortage)),
    ...orderIds.flatMap((orderId) => retold(byOrder.get(orderId), known.get(orderId))),
  ];
}

/**
 * Gives back what orders hold. One that holds nothing is told so too, and can reserve no more. What a global
 * transaction holds is given back, and told, when its hold ends: until then nobody knows whether it is sold.
 */
export async function releaseStock(
  tx: Tx,
  commands: readonly Command<"RELEASE_STOCK">[],
): Promise<NewEvent[]> {
  const byOrder = lastByOrder(commands);
  const heads = await lockHeads(tx, [...byOrder.keys()].sort());
  const isHeld = (orderId: string) => heads.get(orderId)?.status === "HELD";
  postponeReleases(
    tx,
    [...byOrder.values()].filter(({ data }) => isHeld(data.orderId)),
  );
  const orderIds = [...byOrder.keys()].filter((orderId) => !isHeld(orderId));
  return orderIds.length > 0 ? release(tx, byOrder, orderIds) : [];
}

async function release(
  tx: Tx,
  byOrder: ReadonlyMap<string, Command<"RELEASE_STOCK">>,
  orderIds: readonly string[],
): Promise<NewEvent[]> {
  const { opened, known } = await openHeads(
    tx,
    orderIds,
    "RELEASED",
    orderIds.map(() => 0),
  );
  const inStatus = (status: HeadStatus) =>
    [...known.values()].filter((head) => head.status === status).map(({ orderId }) => orderId);
  const reserved = await moveLines(tx, inStatus("RESERVED"), "RESERVED", "RELEASED");
  const sold = await moveLines(tx, inStatus("CONFIRMED"), "CONFIRMED", "RELEASED");
  const lines = [...reserved, ...sold];
  if (lines.length > 0) {
    await lockStock(tx, [...quantities(lines).keys()]);
    giveBackStock(tx, quantities(reserved));
    takeBackSold(tx, quantities(sold));
  }
  setHeadStatus(tx, [...inStatus("RESERVED"), ...inStatus("CONFIRMED"), ...inStatus("REFUSED")], "RELEASED");
  return orderIds.flatMap((orderId) => {
    const command = byOrder.get(orderId);
    const head = opened.get(orderId) ?? known.get(orderId);
    if (!command || !head) return [];
    const items = lines
      .filter((line) => line.orderId === orderId)
      .map(({ productId, quantity }) => ({ productId, quantity }));
    const { sagaId, reason } = command.data;
    return [event(command, head, "STOCK_RELEASED", { orderId, sagaId, items, reason })];
  });
}

function told(command: Command<"RESERVE_STOCK">, head: Head | undefined): NewEvent[] {
  if (!head) return [];
  const { orderId, sagaId, items } = command.data;
  const expiresAt = (head.expiresAt ?? new Date(0)).toISOString();
  return [event(command, head, "STOCK_RESERVED", { orderId, sagaId, items, expiresAt })];
}

function failed(command: Command<"RESERVE_STOCK">, head: Head | undefined, shortage: Shortage): NewEvent[] {
  if (!head) return [];
  const { orderId, sagaId } = command.data;
  const { productId, code, available, requested } = shortage;
  return [
    event(command, head, "STOCK_RESERVATION_FAILED", {
      orderId,
      sagaId,
      productId,
      reason: code,
      available,
      requested,
    }),
  ];
}

function retold(command: Command<"RESERVE_STOCK"> | undefined, head: Head | undefined): NewEvent[] {
  if (!command || !head) return [];
  if (head.status !== "REFUSED" && head.status !== "RELEASED" && head.status !== "EXPIRED")
    return told(command, head);
  const [line] = command.data.items;
  const { orderId, sagaId } = command.data;
  const reason = head.status === "REFUSED" ? "OUT_OF_STOCK" : head.status;
  return [
    event(command, head, "STOCK_RESERVATION_FAILED", {
      orderId,
      sagaId,
      productId: line?.productId ?? "",
      reason,
      available: 0,
      requested: line?.quantity ?? 0,
    }),
  ];
}

export function event<
  Type extends "STOCK_RESERVED" | "STOCK_RESERVATION_FAILED" | "STOCK_RELEASED" | "STOCK_CONFIRMED",
>(
  command: { correlationId: string; causationId?: string },
  head: Head,
  type: Type,
  data: EventData[Type],
): NewEvent<Type> {
  const { correlationId, causationId } = command;
  return {
    type,
    aggregateId: head.orderId,
    aggregateVersion: head.eventVersion,
    correlationId,
    causationId,
    data,
  };
}

function lastByOrder<One extends { data: { orderId: string } }>(
  commands: readonly One[],
): ReadonlyMap<string, One> {
  return new Map(commands.map((command) => [command.data.orderId, command]));
}

function productsOf(baskets: readonly (readonly Line[])[]): string[] {
  return [...new Set(baskets.flat().map(({ productId }) => productId))];
}
