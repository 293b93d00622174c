import type { Tx } from "../../lib/database.ts";
import { factsOf } from "../../lib/errors.ts";
import type { DomainEvent, Reason } from "../../lib/events.ts";
import { log } from "../../lib/logging.ts";
import { type CommandContext, carryOutIn } from "./order.commands.ts";

/** What the product service says when nobody paid in time; every other release is somebody's own decision. */
const EXPIRED = "RESERVATION_EXPIRED";

const REASON: Reason = { code: EXPIRED, message: "The order was not paid while its stock was reserved." };

/**
 * Cancels orders whose reservation has expired. An order that has gone on meanwhile (being paid, being cancelled)
 * is left to whoever moves it, and so is one that is not known here.
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
            params: { orderId: event.data.orderId, reason: REASON, actor: "expiry" },
            correlationId: event.correlationId,
          },
        ]
      : [],
  );
  if (items.length === 0) return;
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
