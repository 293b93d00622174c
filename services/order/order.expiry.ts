import type { Tx } from "../../lib/database.ts";
import { factsOf } from "../../lib/errors.ts";
import type { DomainEvent, Reason } from "../../lib/events.ts";
import { log } from "../../lib/logging.ts";
import { type CommandContext, carryOutIn, type Moved, type Traced } from "./order.commands.ts";
import { noteStockExpired, withoutStock } from "./order.expiry.store.ts";
import type { Move } from "./order.store.ts";

/** What the product service says when nobody paid in time; every other release is somebody's own decision. */
const EXPIRED = "RESERVATION_EXPIRED";

const ACTOR = "expiry";
const REASON: Reason = { code: EXPIRED, message: "The order was not paid while its stock was reserved." };

/**
 * Cancels orders whose reservation has expired. An order that is being paid is left until that has ended; one that
 * has gone further, or is not known here, is left to whoever moves it.
 */
export async function expireOrders(
  tx: Tx,
  context: CommandContext,
  events: readonly DomainEvent[],
): Promise<void> {
  const items = events.flatMap((event) =>
    event.eventType === "STOCK_RELEASED" && event.data.reason === EXPIRED
      ? [
          {
            params: { orderId: event.data.orderId, reason: REASON, actor: ACTOR },
            correlationId: event.correlationId,
          },
        ]
      : [],
  );
  if (items.length === 0) return;
  // Noted first: the note locks the orders, so that none comes back from being paid between the two.
  await noteStockExpired(
    tx,
    items.map(({ params }) => params.orderId),
  );
  const results = await carryOutIn(tx, context, "expire", items);
  tx.afterCommit(() => {
    for (const [index, result] of results.entries()) {
      const item = items[index];
      if (!(result instanceof Error) || !item) continue;
      const { params, correlationId } = item;
      const why = factsOf(result).type;
      log(context.logger, { correlationId, orderId: params.orderId }).info(
        "reservation expired, order left",
        { why },
      );
    }
  });
}

/**
 * Ends orders that came back from a payment which failed, and whose stock had expired meanwhile: before the payment
 * could hold it, or after it had let go. Nobody else would ever cancel them.
 */
export async function expireUnpaid(
  tx: Tx,
  context: CommandContext,
  items: readonly Traced<Move>[],
): Promise<ReadonlyMap<string, Moved>> {
  const expired = await withoutStock(
    tx,
    items.map(({ params }) => params.orderId),
  );
  const chosen = items.flatMap(({ params: { orderId }, correlationId }) =>
    expired.has(orderId) ? [{ params: { orderId, reason: REASON, actor: ACTOR }, correlationId }] : [],
  );
  if (chosen.length === 0) return new Map();
  const results = await carryOutIn(tx, context, "expire", chosen);
  return new Map(
    results.flatMap((result) => (result instanceof Error ? [] : [[result.orderId, result] as const])),
  );
}
