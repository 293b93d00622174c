import type { Actions } from "../../lib/actions.ts";
import type { OrderStatus } from "../../lib/contracts.ts";
import { withTransaction } from "../../lib/database.ts";
import { StateConflictError } from "../../lib/errors.ts";
import { lockRefused, noteRefused } from "./cancellation.store.ts";
import { type CommandContext, carryOutIn, type Moved, type Traced } from "./order.commands.ts";
import { ordersBefore } from "./order.store.ts";
import { conflictOf } from "./order.ts";

type Request = Actions["order.requestCancellation"];

/**
 * The semantic lock of a cancellation: from here on nothing else may happen to the order. Answers what there is
 * to undo; a repetition gets the same answer, since nothing has moved the order since. A saga that was refused once
 * is refused for ever: it has ended, and nobody would end what a late repetition began.
 */
export function requestCancellations(
  context: CommandContext,
  items: readonly Traced<Request["params"]>[],
): Promise<(Request["result"] | Error)[]> {
  return withTransaction(context.database, async (tx) => {
    const refused = await lockRefused(
      tx,
      items.map(({ params }) => params),
    );
    const open = items.filter(({ params }) => !refused.has(params.sagaId));
    const moved = await carryOutIn(tx, context, "requestCancellation", open);
    const results = new Map(open.map((item, index) => [item, moved[index]]));
    noteRefused(tx, [...results].flatMap(refusalOf));
    const locked = moved.flatMap((result) => (result instanceof Error ? [] : [result.orderId]));
    const orders = await ordersBefore(tx, locked);
    return items.map((item) => {
      const { orderId, sagaId } = item.params;
      const status = refused.get(sagaId);
      const result = status ? conflictOf("requestCancellation", orderId, status) : results.get(item);
      if (result instanceof Error) return result;
      const order = orders.get(orderId);
      if (!order) return new Error(`order ${orderId} has no history`);
      return { orderId, before: order.before, items: order.items };
    });
  });
}

function refusalOf([{ params }, result]: readonly [Traced<Request["params"]>, Moved | Error | undefined]) {
  if (!(result instanceof StateConflictError)) return [];
  return [{ sagaId: params.sagaId, status: result.data?.status as OrderStatus }];
}
