import type { Logger, ServiceBroker } from "moleculer";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import { callAction } from "../../lib/define.ts";
import { factsOf } from "../../lib/errors.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { log } from "../../lib/logging.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import type { HoldRequest } from "./hold.commands.ts";
import { expireHeads, overdueHolds } from "./hold.store.ts";
import { giveBackStock, lockStock } from "./product.store.ts";
import { moveLines } from "./reservation.store.ts";
import { quantities } from "./reservation.ts";

/** Stock that nobody paid for in time comes back. */

export interface ExpiryContext {
  readonly broker: ServiceBroker;
  readonly database: Database;
  readonly enqueueEvents: (tx: Tx, events: readonly NewEvent[]) => void;
}

const STEP = 200;
/** Longer than any transaction may take to decide, by a minute. */
const HOLD_SECONDS = 15 * 60;

/** Ends reservations past their time, bounded in each step. Answers true when there may be more. */
export async function expireReservations(context: ExpiryContext, logger: Logger): Promise<boolean> {
  const expired = await withTransaction(context.database, async (tx) => {
    const heads = await expireHeads(tx, STEP);
    if (heads.length === 0) return 0;
    const lines = await moveLines(
      tx,
      heads.map(({ orderId }) => orderId),
      "RESERVED",
      "EXPIRED",
    );
    await lockStock(tx, [...quantities(lines).keys()]);
    giveBackStock(tx, quantities(lines));
    const correlationId = uuidv7();
    context.enqueueEvents(
      tx,
      heads.map(({ orderId, eventVersion }) => ({
        type: "STOCK_RELEASED",
        aggregateId: orderId,
        aggregateVersion: eventVersion,
        correlationId,
        data: {
          orderId,
          items: lines
            .filter((line) => line.orderId === orderId)
            .map(({ productId, quantity }) => ({ productId, quantity })),
          reason: "RESERVATION_EXPIRED",
        },
      })),
    );
    tx.afterCommit(() => {
      for (const { orderId } of heads) log(logger, { correlationId, orderId }).info("reservation expired");
    });
    return heads.length;
  });
  return expired === STEP;
}

/**
 * A hold that has outlived the longest transaction: its coordinator is asked, never overruled. What it says is
 * cancelled, or does not know at all, is given back; a decided confirm is on its way.
 */
export async function settleOverdueHolds(
  context: ExpiryContext,
  cancel: (request: HoldRequest) => Promise<unknown>,
): Promise<void> {
  for (const { orderId, gid } of await overdueHolds(context.database, HOLD_SECONDS, STEP)) {
    if (await hasEndedWithoutUs(context.broker, gid)) await cancel({ gid, orderId, correlationId: uuidv7() });
  }
}

async function hasEndedWithoutUs(broker: ServiceBroker, gid: string): Promise<boolean> {
  try {
    const { state } = await callAction(
      broker,
      "saga.transaction",
      { transactionId: gid },
      { caller: "product" },
    );
    return state === "CANCELLED";
  } catch (error) {
    // Held over REST by an outside coordinator, of which we know nothing: its time is up. Anything else may pass.
    if (factsOf(error).type === "TRANSACTION_NOT_FOUND") return true;
    throw error;
  }
}
