import type { ServiceBroker } from "moleculer";
import { callAction } from "../../lib/define.ts";
import type { Reason } from "../../lib/events.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { log } from "../../lib/logging.ts";
import { type CommandContext, carryOut } from "./order.commands.ts";
import { staleDraftsAfter } from "./stale-drafts.store.ts";

const REASON: Reason = { code: "CREATION_ABANDONED", message: "The order was not created in time." };
const ROWS_MAX = 1_000;
const ASK_MAX = 200;
/** Drafts of live sagas that are remembered to be asked about again; beyond it the walk waits. */
const WATCHED_MAX = 10_000;
const NIL = "00000000-0000-0000-0000-000000000000";

export interface StaleDrafts {
  /** One step. Answers true when there may be more. @throws the saga service cannot be asked */
  settle(): Promise<boolean>;
}

/**
 * Ends drafts that nobody will ever finish: old, and without a live saga behind them. Who is away is not overruled:
 * a draft ends only when the saga service says so. A draft that comes behind the walk, minutes after its saga asked for
 * it, is looked at after a restart only; one whose saga has ended by then is kept out by its tombstone.
 */
export function createStaleDrafts(
  context: CommandContext,
  broker: ServiceBroker,
  minutes: number,
): StaleDrafts {
  const watched = new Map<string, string>();
  let after = NIL;
  return {
    async settle() {
      let more = false;
      if (watched.size < WATCHED_MAX) {
        const { drafts, last, full } = await staleDraftsAfter(context.database, after, minutes, ROWS_MAX);
        for (const { orderId, sagaId } of drafts) watched.set(orderId, sagaId);
        after = last;
        more = full;
      }
      const asked = [...watched];
      for (let from = 0; from < asked.length; from += ASK_MAX) {
        const chunk = asked.slice(from, from + ASK_MAX);
        const sagaIds = [...new Set(chunk.map(([, sagaId]) => sagaId))];
        const live = new Set((await callAction(broker, "saga.live", { sagaIds }, { caller: "order" })).live);
        const dead = chunk.flatMap(([orderId, sagaId]) => (live.has(sagaId) ? [] : [orderId]));
        await abandon(context, dead);
        for (const orderId of dead) watched.delete(orderId);
      }
      return more;
    },
  };
}

async function abandon(context: CommandContext, orderIds: readonly string[]): Promise<void> {
  if (orderIds.length === 0) return;
  const correlationId = uuidv7();
  // One that has been confirmed meanwhile refuses, and is left.
  const results = await carryOut(
    context,
    "abandon",
    orderIds.map((orderId) => ({
      params: { orderId, reason: REASON, actor: "stale drafts" },
      correlationId,
    })),
  );
  for (const result of results) {
    if (result instanceof Error) continue;
    log(context.logger, { correlationId, orderId: result.orderId }).warn(
      "a draft without a saga was cancelled",
    );
  }
}
