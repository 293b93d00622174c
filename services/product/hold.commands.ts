import type { Tx } from "../../lib/database.ts";
import {
  InvalidInputError,
  NotFoundError,
  RuleViolationError,
  StateConflictError,
} from "../../lib/errors.ts";
import type { Line } from "../../lib/events.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import type { TccOp } from "../../mixins/tcc-barrier.store.ts";
import type { TccRequest } from "../../mixins/tcc-participant.mixin.ts";
import { endHolds, type HeldHead, type Hold, lockHeads, takeHolds } from "./hold.store.ts";
import { giveBackStock, lockProducts, lockStock, sellStock, takeStock } from "./product.store.ts";
import {
  type Head,
  insertLines,
  moveLines,
  openHeads,
  type ReservedLine,
  sendLines,
} from "./reservation.store.ts";
import { allocate, quantities, type Shortage } from "./reservation.ts";
import { event, releaseStock } from "./stock.commands.ts";

/** Stock's part in a global transaction: hold past the expiry, then sell, or give back as it was. */

export interface HoldRequest extends TccRequest {
  readonly orderId: string;
  readonly items?: readonly Line[];
  readonly ttlSeconds?: number;
  readonly correlationId: string;
}

export interface HoldAnswer {
  readonly orderId: string;
  readonly status: string;
}

/** What each operation answers when it has had its effect. */
export const HOLD_ANSWERS = { try: "HELD", confirm: "CONFIRMED", cancel: "CANCELLED" } as const;

type Answers = Map<string, HoldAnswer | Error>;
type Enqueue = (tx: Tx, events: readonly NewEvent[]) => void;

/** A reservation that goes on after a failed payment is there for at least this long. */
const GRACE_SECONDS = 120;

/** `lockedBefore`: the heads of all these orders, where their lock is on its way already. */
export async function applyHolds(
  tx: Tx,
  op: TccOp,
  requests: readonly HoldRequest[],
  enqueueEvents: Enqueue,
  ttlSeconds: number,
  lockedBefore?: Promise<ReadonlyMap<string, HeldHead>>,
): Promise<readonly (HoldAnswer | Error)[]> {
  const first = new Map<string, HoldRequest>();
  for (const request of requests) if (!first.has(request.orderId)) first.set(request.orderId, request);
  const chosen = [...first.values()];
  const heads = await (lockedBefore ?? lockHeads(tx, [...first.keys()].sort()));
  const answers: Answers = new Map();
  if (op === "try") await tryHolds(tx, chosen, heads, answers, enqueueEvents, ttlSeconds);
  else await finishHolds(tx, op, chosen, heads, answers, enqueueEvents);
  return requests.map((request) => {
    const isFirst = first.get(request.orderId) === request;
    return (isFirst ? answers.get(request.gid) : undefined) ?? heldByAnother(request);
  });
}

function heldByAnother({ orderId }: HoldRequest): StateConflictError {
  return new StateConflictError("The reservation is held by another transaction.", "STOCK_HELD", { orderId });
}

async function tryHolds(
  tx: Tx,
  requests: readonly HoldRequest[],
  heads: ReadonlyMap<string, HeldHead>,
  answers: Answers,
  enqueueEvents: Enqueue,
  ttlSeconds: number,
): Promise<void> {
  const reserved = requests.filter(({ orderId }) => heads.get(orderId)?.status === "RESERVED");
  const missing = requests.filter(({ orderId, items }) => !heads.has(orderId) && items !== undefined);
  const made = await reserveAndHold(tx, missing, answers, enqueueEvents, ttlSeconds);
  sendLines(
    tx,
    reserved.map(({ orderId }) => orderId),
    "RESERVED",
    "HELD",
  );
  const holds: Hold[] = [
    ...reserved.map(({ orderId, gid }) => ({ orderId, gid, made: false })),
    ...made.map(({ orderId, gid }) => ({ orderId, gid, made: true })),
  ];
  takeHolds(tx, holds);
  for (const { orderId, gid } of holds) answers.set(gid, { orderId, status: HOLD_ANSWERS.try });
  for (const { orderId, gid } of requests) {
    if (answers.has(gid)) continue;
    const status = heads.get(orderId)?.status ?? "NONE";
    const message = "There is no reservation to hold.";
    answers.set(gid, new StateConflictError(message, "STOCK_NOT_RESERVED", { orderId, status }));
  }
}

function refusalOf({ code, ...facts }: Shortage): Error {
  if (code === "PRODUCT_NOT_FOUND") return new NotFoundError("product", facts.productId);
  return new RuleViolationError("Not enough stock.", code, facts);
}

/** Coordinators choose the ids of their orders. Events are told apart by the id of what they are about alone. */
function namedAsProduct(): InvalidInputError {
  return new InvalidInputError([{ field: "orderId", message: "This is the id of a product." }]);
}

/** For orders that have no reservation yet: all lines or none, held from the start. */
async function reserveAndHold(
  tx: Tx,
  requests: readonly HoldRequest[],
  answers: Answers,
  enqueueEvents: Enqueue,
  defaultTtlSeconds: number,
): Promise<readonly HoldRequest[]> {
  if (requests.length === 0) return [];
  const baskets = requests.map((request) => ({
    orderId: request.orderId,
    items: request.items ?? [],
    request,
  }));
  const products = new Set(baskets.flatMap(({ items }) => items.map(({ productId }) => productId)));
  const stock = await lockStock(tx, [...products, ...baskets.map(({ orderId }) => orderId)]);
  const named = baskets.filter(({ orderId }) => stock.has(orderId));
  for (const { request } of named) answers.set(request.gid, namedAsProduct());
  const { reserved, refused, taken } = allocate(
    stock,
    baskets.filter(({ orderId }) => !stock.has(orderId)),
  );
  for (const { order, shortage } of refused) {
    answers.set(order.request.gid, refusalOf(shortage));
  }
  await takeStock(tx, taken);
  const ttlOf = (request: HoldRequest) => request.ttlSeconds ?? defaultTtlSeconds;
  const chosen = reserved.map(({ request }) => request);
  const { opened, known } = await openHeads(
    tx,
    chosen.map(({ orderId }) => orderId),
    "RESERVED",
    chosen.map(ttlOf),
  );
  // Somebody opened one since it was found missing: all begins anew, and finds it.
  if (known.size > 0) throw new Error("a reservation appeared meanwhile");
  insertLines(
    tx,
    reserved.flatMap(({ orderId, items, request }) =>
      [...quantities(items)].map(([productId, quantity]) => ({
        orderId,
        productId,
        quantity,
        ttlSeconds: ttlOf(request),
      })),
    ),
  );
  sendLines(
    tx,
    chosen.map(({ orderId }) => orderId),
    "RESERVED",
    "HELD",
  );
  enqueueEvents(
    tx,
    chosen.flatMap((request) => toldReserved(request, opened.get(request.orderId))),
  );
  return chosen;
}

function toldReserved(request: HoldRequest, head: Head | undefined): NewEvent[] {
  if (!head) return [];
  const { orderId, items = [], correlationId } = request;
  const expiresAt = (head.expiresAt ?? new Date(0)).toISOString();
  return [event({ correlationId }, head, "STOCK_RESERVED", { orderId, items, expiresAt })];
}

async function finishHolds(
  tx: Tx,
  op: "confirm" | "cancel",
  requests: readonly HoldRequest[],
  heads: ReadonlyMap<string, HeldHead>,
  answers: Answers,
  enqueueEvents: Enqueue,
): Promise<void> {
  const held = requests.filter(({ orderId, gid }) => {
    const head = heads.get(orderId);
    return head?.status === "HELD" && head.heldBy === gid;
  });
  const ordersWhere = (made: boolean) =>
    held.filter(({ orderId }) => heads.get(orderId)?.madeByHold === made).map(({ orderId }) => orderId);
  const all = held.map(({ orderId }) => orderId);
  const toSell = op === "confirm" ? all : [];
  const toRelease = op === "cancel" ? ordersWhere(true) : [];
  const toKeep = op === "cancel" ? ordersWhere(false) : [];
  sendLines(tx, toKeep, "HELD", "RESERVED");
  const [sold, released] = await Promise.all([
    moveLines(tx, toSell, "HELD", "CONFIRMED"),
    moveLines(tx, toRelease, "HELD", "RELEASED"),
  ]);
  lockProducts(tx, [...quantities([...sold, ...released]).keys()]);
  sellStock(tx, quantities(sold));
  giveBackStock(tx, quantities(released));
  endHolds(tx, toSell, "CONFIRMED", GRACE_SECONDS);
  endHolds(tx, toRelease, "RELEASED", GRACE_SECONDS);
  endHolds(tx, toKeep, "RESERVED", GRACE_SECONDS);
  const versions = new Map(
    [...toSell, ...toRelease].map((orderId) => [orderId, (heads.get(orderId)?.eventVersion ?? 0) + 1]),
  );
  // Their orders were cancelled meanwhile: they are told after what the hold itself has to tell.
  const postponed = held.flatMap(({ orderId }) => heads.get(orderId)?.releaseAsked ?? []);
  const events = [
    ...held.flatMap((request) => eventOf(request, versions.get(request.orderId), sold, released)),
    ...(postponed.length > 0 ? await releaseStock(tx, postponed) : []),
  ];
  if (events.length > 0) enqueueEvents(tx, events);
  for (const { orderId, gid } of held) answers.set(gid, { orderId, status: HOLD_ANSWERS[op] });
}

function eventOf(
  { orderId, correlationId }: HoldRequest,
  aggregateVersion: number | undefined,
  sold: readonly ReservedLine[],
  released: readonly ReservedLine[],
): NewEvent[] {
  if (aggregateVersion === undefined) return [];
  const common = { aggregateId: orderId, aggregateVersion, correlationId };
  const linesOf = (lines: readonly ReservedLine[]) =>
    lines
      .filter((line) => line.orderId === orderId)
      .map(({ productId, quantity }) => ({ productId, quantity }));
  const soldLines = linesOf(sold);
  if (soldLines.length > 0)
    return [{ ...common, type: "STOCK_CONFIRMED", data: { orderId, items: soldLines } }];
  return [
    { ...common, type: "STOCK_RELEASED", data: { orderId, items: linesOf(released), reason: "CANCELLED" } },
  ];
}
