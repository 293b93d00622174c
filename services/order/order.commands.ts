import type { Logger } from "moleculer";
import type { OrderStatus } from "../../lib/contracts.ts";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import { NotFoundError, StateConflictError } from "../../lib/errors.ts";
import type { Reason } from "../../lib/events.ts";
import { log } from "../../lib/logging.ts";
import type { Metrics } from "../../lib/metrics.ts";
import { type AuditEntry, appendToTrail } from "../../mixins/audit-trail.store.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import type { UnpaidRule } from "./order.drafts.ts";
import { type Move, type MovedOrder, moveOrders, type OrderFacts, orderFacts } from "./order.store.ts";
import { conflictOf, moveOf, type OrderCommand, type OrderEvent } from "./order.ts";
import { buryOrders, holdDrafts } from "./order-tombstones.store.ts";

/** What changes orders: the aggregate's rules around the store's statements, each command for many orders. */

export interface CommandContext {
  readonly database: Database;
  readonly enqueueEvents: (tx: Tx, events: readonly NewEvent[]) => void;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Tells that orders have moved, after the commit. */
  readonly announce?: (orderIds: Iterable<string>) => void;
  /** How many unpaid orders a customer may have; left out: any number. */
  readonly unpaid?: UnpaidRule;
}

export interface Traced<Params> {
  readonly params: Params;
  readonly correlationId: string;
  /** The saga or transaction that asks, for the log. */
  readonly sagaId?: string | undefined;
}

export interface Moved {
  readonly orderId: string;
  readonly status: OrderStatus;
}

/** A command for many orders in a transaction of its own. */
export function carryOut(
  context: CommandContext,
  command: OrderCommand,
  items: readonly Traced<Move>[],
): Promise<(Moved | Error)[]> {
  return withTransaction(context.database, (tx) => carryOutIn(tx, context, command, items));
}

/** Undoing a draft that has not come is done when it cannot come any more. */
export async function cancelOrders(
  context: CommandContext,
  items: readonly Traced<Move>[],
): Promise<(Moved | Error)[]> {
  return withTransaction(context.database, async (tx) => {
    const first = await carryOutIn(tx, context, "cancel", items);
    const results = await onceMore(items, first, isMissing, (missing) => {
      holdDrafts(tx);
      return carryOutIn(tx, context, "cancel", missing);
    });
    const never = items.filter((_, index) => isMissing(results[index]));
    if (never.length > 0)
      buryOrders(
        tx,
        never.map(({ params }) => params.orderId),
      );
    return results.map((result, index) =>
      isMissing(result) ? { orderId: items[index]?.params.orderId ?? "", status: "cancelled" } : result,
    );
  });
}

const isMissing = (result: unknown) => result instanceof NotFoundError;

/** Runs those items again whose results ask for it; the others keep theirs. */
async function onceMore(
  items: readonly Traced<Move>[],
  results: readonly (Moved | Error)[],
  isOpen: (result: Moved | Error | undefined) => boolean,
  run: (open: readonly Traced<Move>[]) => Promise<readonly (Moved | Error)[]>,
): Promise<(Moved | Error)[]> {
  const open = items.filter((_, index) => isOpen(results[index]));
  if (open.length === 0) return [...results];
  const second = await run(open);
  const byOrder = new Map(open.map(({ params }, index) => [params.orderId, second[index]]));
  return results.map((result, index) => byOrder.get(items[index]?.params.orderId ?? "") ?? result);
}

/** Moves what may move, tells of it, and sorts the rest into repetitions and conflicts. */
export async function carryOutIn(
  tx: Tx,
  context: CommandContext,
  command: OrderCommand,
  items: readonly Traced<Move>[],
): Promise<(Moved | Error)[]> {
  const { from } = moveOf(command);
  // An order may come to where this command takes it between the move and the look at what did not move.
  const cameBetween = (result: Moved | Error | undefined) =>
    result instanceof StateConflictError && from.some((status) => status === result.data?.status);
  const first = await moveThose(tx, context, command, items);
  return onceMore(items, first, cameBetween, (open) => moveThose(tx, context, command, open));
}

async function moveThose(
  tx: Tx,
  { enqueueEvents, metrics, logger, announce }: CommandContext,
  command: OrderCommand,
  items: readonly Traced<Move>[],
): Promise<(Moved | Error)[]> {
  const unique = new Map(items.map((item) => [item.params.orderId, item]));
  const moved = await moveOrders(
    tx,
    command,
    [...unique.values()].map(({ params }) => params),
  );
  const { to, event, trail } = moveOf(command);
  const movedItems = [...unique.values()].flatMap((item) => {
    const order = moved.get(item.params.orderId);
    return order ? [{ order, item }] : [];
  });
  if (event !== undefined && movedItems.length > 0) {
    enqueueEvents(
      tx,
      movedItems.map(({ order, item }) => orderEvent(event, order, item)),
    );
  }
  if (trail !== undefined) appendToTrail(tx, movedItems.map(entryOf(trail)));
  tx.afterCommit(() => {
    count(metrics, command, moved.size);
    announce?.(moved.keys());
    for (const { order, item } of movedItems) {
      const { correlationId, sagaId } = item;
      log(logger, { correlationId, sagaId, orderId: order.orderId }).info(`order ${to}`);
    }
  });
  const others = await orderFacts(
    tx,
    [...unique.keys()].filter((orderId) => !moved.has(orderId)),
  );
  return items.map(({ params: { orderId } }) => {
    if (moved.has(orderId)) return { orderId, status: to };
    return repeated(command, orderId, others.get(orderId));
  });
}

const entryOf =
  (action: string) =>
  ({ item: { params, correlationId } }: { item: Traced<Move> }): AuditEntry => ({
    actor: params.actor ?? "order",
    action,
    target: `order ${params.orderId}`,
    correlationId,
  });

const NO_REASON: Reason = { code: "UNKNOWN", message: "" };

function orderEvent(type: OrderEvent, order: MovedOrder, { params, correlationId }: Traced<Move>): NewEvent {
  const { orderId, customerId, totalMinor, currency, eventVersion: aggregateVersion } = order;
  const common = { aggregateId: orderId, aggregateVersion, correlationId };
  const reason = toldReason(params.reason ?? NO_REASON);
  switch (type) {
    case "ORDER_CONFIRMED":
    case "ORDER_PAID":
      return { ...common, type, data: { orderId, customerId, totalMinor, currency } };
    case "ORDER_CANCELLED":
    case "ORDER_CANCELLATION_REQUESTED":
      return { ...common, type, data: { orderId, customerId, reason } };
    case "ORDER_COMPLETED":
      return { ...common, type, data: { orderId, customerId } };
  }
}

/** What people typed stays with the order: it may hold anything, and events are kept and passed on. */
function toldReason({ code, message }: Reason): Reason {
  return { code, message: code.startsWith("CANCELLED_BY_") ? "" : message };
}

function repeated(command: OrderCommand, orderId: string, facts: OrderFacts | undefined) {
  if (!facts) return new NotFoundError("order", orderId);
  return conflictOf(command, orderId, facts.status) ?? { orderId, status: facts.status };
}

function count(metrics: Metrics, command: OrderCommand, orders: number): void {
  if (command === "confirm") metrics.ordersConfirmed(orders);
  if (moveOf(command).to === "cancelled") metrics.ordersCancelled(orders);
}
