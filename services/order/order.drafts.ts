import type { Actions } from "../../lib/actions.ts";
import { type Tx, withTransaction } from "../../lib/database.ts";
import { StateConflictError } from "../../lib/errors.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import type { CommandContext, Traced } from "./order.commands.ts";
import { insertDrafts, type OrderFacts, orderFacts } from "./order.store.ts";
import { totalOf } from "./order.ts";
import { buriedOrders } from "./order-tombstones.store.ts";
import { unpaidSince } from "./unpaid-orders.store.ts";

type DraftParams = Actions["order.draft"]["params"];
type DraftResult = Actions["order.draft"]["result"];

/** How many unpaid orders a customer may have, and how long the stock of one may be reserved. */
export interface UnpaidRule {
  readonly max: number;
  readonly ttlSeconds: number;
}

/** 409: the customer holds stock with as many unpaid orders as they may. */
export class TooManyUnpaidOrdersError extends StateConflictError {
  constructor(customerId: string, max: number) {
    const message = `There are ${max} orders that are not paid yet: pay or cancel one first.`;
    super(message, "TOO_MANY_UNPAID_ORDERS", { customerId, max });
  }
}

/** Drafts orders, each once. @throws RangeError a total is not the sum of its lines */
export async function draftOrders(
  context: CommandContext,
  items: readonly Traced<DraftParams>[],
): Promise<(DraftResult | Error)[]> {
  // A retry may meet its first try in one batch; the insert must see each order once.
  const unique = new Map(items.map((item) => [item.params.orderId, item]));
  for (const { params } of unique.values()) {
    if (totalOf(params.items) !== params.totalMinor)
      throw new RangeError("the total is not the sum of the lines");
  }
  const { unpaid } = context;
  const limit = unpaid && { max: unpaid.max, since: unpaidSince(unpaid.ttlSeconds) };
  return withTransaction(context.database, async (tx) => {
    const fresh = await insertDrafts(
      tx,
      [...unique.values()].map(({ params }) => params),
      limit,
    );
    context.enqueueEvents(
      tx,
      [...unique.values()].filter(({ params }) => fresh.has(params.orderId)).map(orderCreated),
    );
    tx.afterCommit(() => {
      context.metrics.ordersCreated(fresh.size);
      context.announce?.(fresh);
    });
    const known = await orderFacts(
      tx,
      [...unique.keys()].filter((orderId) => !fresh.has(orderId)),
    );
    const missing = [...unique.keys()].filter((orderId) => !fresh.has(orderId) && !known.has(orderId));
    const beyond = unpaid && (await beyondLimit(tx, missing));
    return items.map(({ params }) => {
      const { orderId, customerId, totalMinor } = params;
      if (fresh.has(orderId)) return { orderId, totalMinor };
      if (unpaid && beyond?.has(orderId)) return new TooManyUnpaidOrdersError(customerId, unpaid.max);
      return repeatedDraft(orderId, known.get(orderId));
    });
  });
}

/** Of drafts that were not taken: those that had not been cancelled before. */
async function beyondLimit(tx: Tx, missing: readonly string[]): Promise<ReadonlySet<string>> {
  if (missing.length === 0) return new Set();
  const buried = await buriedOrders(tx, missing);
  return new Set(missing.filter((orderId) => !buried.has(orderId)));
}

function repeatedDraft(orderId: string, before: OrderFacts | undefined): DraftResult | Error {
  // Neither new nor known: it was cancelled before this draft came.
  if (!before || before.status === "cancelled") {
    const facts = { orderId, status: "cancelled" };
    return new StateConflictError("The order has been cancelled.", "ORDER_STATE_CONFLICT", facts);
  }
  return { orderId, totalMinor: before.totalMinor };
}

function orderCreated({ params, correlationId }: Traced<DraftParams>): NewEvent<"ORDER_CREATED"> {
  const { orderId, customerId, totalMinor, currency, items } = params;
  return {
    type: "ORDER_CREATED",
    aggregateId: orderId,
    aggregateVersion: 1,
    correlationId,
    data: {
      orderId,
      customerId,
      totalMinor,
      currency,
      items: items.map(({ productId, quantity }) => ({ productId, quantity })),
    },
  };
}
