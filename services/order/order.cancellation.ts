import type { Actions } from "../../lib/actions.ts";
import { withTransaction } from "../../lib/database.ts";
import { type CommandContext, carryOutIn, type Traced } from "./order.commands.ts";
import { ordersBefore } from "./order.store.ts";

type Request = Actions["order.requestCancellation"];

/**
 * The semantic lock of a cancellation: from here on nothing else may happen to the order. Answers what there is
 * to undo; a repetition gets the same answer, since nothing has moved the order since.
 */
export function requestCancellations(
  context: CommandContext,
  items: readonly Traced<Request["params"]>[],
): Promise<(Request["result"] | Error)[]> {
  return withTransaction(context.database, async (tx) => {
    const results = await carryOutIn(tx, context, "requestCancellation", items);
    const locked = results.flatMap((result) => (result instanceof Error ? [] : [result.orderId]));
    const orders = await ordersBefore(tx, locked);
    return results.map((result) => {
      if (result instanceof Error) return result;
      const order = orders.get(result.orderId);
      if (!order) return new Error(`order ${result.orderId} has no history`);
      return { orderId: result.orderId, before: order.before, items: order.items };
    });
  });
}
