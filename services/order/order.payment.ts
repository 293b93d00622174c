import type { Tx } from "../../lib/database.ts";
import { withTransaction } from "../../lib/database.ts";
import { StateConflictError } from "../../lib/errors.ts";
import type { TccOp } from "../../mixins/tcc-barrier.store.ts";
import type { TccRequest } from "../../mixins/tcc-participant.mixin.ts";
import { type CommandContext, carryOutIn, type Moved, type Traced } from "./order.commands.ts";
import { expireUnpaid } from "./order.expiry.ts";
import { type Move, noteReasons } from "./order.store.ts";
import { moveOf, type OrderCommand } from "./order.ts";

/** The order's part in PAY_ORDER: created -> paying -> paid, or back to created (and cancelled, when its stock expired meanwhile). */

export interface PaymentRequest extends Move, TccRequest {
  readonly correlationId: string;
}

export type Participate = (
  tx: Tx,
  op: TccOp,
  requests: readonly PaymentRequest[],
  run: (requests: readonly PaymentRequest[]) => Promise<readonly (Moved | Error)[]>,
  empty: (request: PaymentRequest) => Moved,
  expected: (request: PaymentRequest) => Moved,
) => Promise<(Moved | Error)[]>;

const COMMANDS: Readonly<Record<TccOp, OrderCommand>> = {
  try: "startPaying",
  confirm: "confirmPaid",
  cancel: "abortPaying",
};

export function payOrders(
  context: CommandContext,
  participate: Participate,
  op: TccOp,
  requests: readonly PaymentRequest[],
): Promise<(Moved | Error)[]> {
  return withTransaction(context.database, async (tx) => {
    const notBegun: PaymentRequest[] = [];
    const results = await participate(
      tx,
      op,
      requests,
      (first) => onePerOrder(first, (chosen) => moveIn(tx, context, op, chosen.map(traced))),
      // Nothing was begun under this transaction; the order is whatever it is.
      (request) => {
        notBegun.push(request);
        return { orderId: request.orderId, status: "created" };
      },
      ({ orderId }) => ({ orderId, status: moveOf(COMMANDS[op]).to }),
    );
    if (notBegun.length > 0) noteReasons(tx, notBegun);
    return results;
  });
}

async function moveIn(
  tx: Tx,
  context: CommandContext,
  op: TccOp,
  items: readonly Traced<Move>[],
): Promise<readonly (Moved | Error)[]> {
  const results = await carryOutIn(tx, context, COMMANDS[op], items);
  if (op !== "cancel") return results;
  const ended = await expireUnpaid(tx, context, items);
  return results.map((result, index) => ended.get(items[index]?.params.orderId ?? "") ?? result);
}

/** Two transactions over one order in one batch: the first may have it, the other is refused like a later one. */
async function onePerOrder(
  requests: readonly PaymentRequest[],
  run: (chosen: readonly PaymentRequest[]) => Promise<readonly (Moved | Error)[]>,
): Promise<readonly (Moved | Error)[]> {
  const first = new Map<string, PaymentRequest>();
  for (const request of requests) if (!first.has(request.orderId)) first.set(request.orderId, request);
  const chosen = [...first.values()];
  const results = await run(chosen);
  const resultOf = new Map(chosen.map((request, index) => [request, results[index]]));
  return requests.map((request) => resultOf.get(request) ?? underWay(request));
}

function underWay({ orderId }: PaymentRequest): StateConflictError {
  const message = "Another payment of this order is under way.";
  return new StateConflictError(message, "ORDER_STATE_CONFLICT", { orderId });
}

function traced({ correlationId, gid: sagaId, orderId, reason }: PaymentRequest): Traced<Move> {
  return { correlationId, sagaId, params: { orderId, ...(reason && { reason }) } };
}
