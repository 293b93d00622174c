import type { Logger } from "moleculer";
import { createCircuitBreaker } from "../../../lib/circuit-breaker.ts";
import { type Database, withTransaction } from "../../../lib/database.ts";
import { log } from "../../../lib/logging.ts";
import type { Metrics } from "../../../lib/metrics.ts";
import { createPoller, type Poller } from "../../../lib/poller.ts";
import { appendToTrail } from "../../../mixins/audit-trail.store.ts";
import { retryDelayMs } from "./notification.ts";
import {
  claimNotifications,
  type DueNotification,
  endpointMissed,
  endpointReached,
  type Settled,
  settleNotification,
} from "./notifications.store.ts";
import type { Delivery, Sender } from "./sender.ts";

export interface NotificationWorkerOptions {
  readonly database: Database;
  readonly sender: Sender;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The bulkhead: more are not under way at once. */
  readonly concurrencyMax: number;
  readonly timeoutMs: number;
  readonly attemptsMax: number;
  readonly retryMaxMs: number;
  readonly disableAfterMs: number;
}

const POLL_MS = 500;
/** Well beyond the longest that one attempt takes, so that nobody else sends it meanwhile. */
const LEASE_MARGIN_MS = 10_000;
/** Whoever answers so wants nothing more. */
const GONE = 410;
const BREAKER = { failureShare: 0.5, callsMin: 5, windowMs: 60_000, openMs: 2_000, openMsMax: 60_000 };

/** Sends what is due, in order for each order, and notes what became of it. */
export function createNotificationWorker(options: NotificationWorkerOptions): Poller {
  const { database, sender, logger, metrics, concurrencyMax, timeoutMs } = options;
  const inHand = new Set<Promise<void>>();
  const failed = (err: unknown) => log(logger, {}).warn("notifications will be tried again", { err });
  const breaker = createCircuitBreaker({
    ...BREAKER,
    onChange(state) {
      metrics.set("holdfast_circuit_open", state === "open" ? 1 : 0, { name: "notifications" });
      log(logger, {}).warn("the circuit of notifications changed", { state });
    },
  });
  metrics.set("holdfast_circuit_open", 0, { name: "notifications" });

  const work = async (due: DueNotification) => {
    if (!breaker.enter()) return;
    const delivery = await sender.send(due);
    // Who refuses one is there all the same.
    breaker.leave(delivery.isGood || (delivery.status ?? 500) < 500);
    const settled = settledAs(due, delivery, options);
    metrics.add("holdfast_notifications_total", 1, { result: settled.status.toLowerCase() });
    const isDisabled = await settle(options, settled, delivery);
    if (isDisabled) log(logger, {}).error("notifications are disabled", { reason: delivery.error });
    // The next one of the same order may be due now.
    if (delivery.isGood) worker.wake();
  };
  const take = (due: DueNotification) => {
    const working = work(due)
      .catch(failed)
      .finally(() => {
        inHand.delete(working);
      });
    inHand.add(working);
  };
  const worker = createPoller({
    name: "notifications",
    intervalMs: POLL_MS,
    onError: failed,
    run: async () => {
      const places = Math.min(concurrencyMax - inHand.size, breaker.places());
      if (places <= 0) return false;
      for (const due of await claimNotifications(database, places, timeoutMs + LEASE_MARGIN_MS)) take(due);
      return false;
    },
  });
  return {
    ...worker,
    async stop() {
      await worker.stop();
      await Promise.all(inHand);
    },
  };
}

type Limits = Pick<NotificationWorkerOptions, "attemptsMax" | "retryMaxMs">;

/** What the answer makes of it. One that is refused for ever must not hold up its order for ever. */
export function settledAs(
  { id, attempts }: Pick<DueNotification, "id" | "attempts">,
  { isGood, status: httpStatus, error }: Delivery,
  { attemptsMax, retryMaxMs }: Limits,
): Settled {
  const status = isGood ? "DELIVERED" : attempts >= attemptsMax ? "FAILED" : "PENDING";
  const delayMs = status === "PENDING" ? retryDelayMs(attempts, retryMaxMs) : 0;
  return { id, attempts, status, delayMs, httpStatus, error };
}

/** Answers whether nobody is told any more from now on. */
function settle(
  { database, disableAfterMs }: NotificationWorkerOptions,
  settled: Settled,
  { isGood, status, error = "" }: Delivery,
): Promise<boolean> {
  return withTransaction(database, async (tx) => {
    settleNotification(tx, settled);
    if (isGood) {
      endpointReached(tx);
      return false;
    }
    const isDisabled = await endpointMissed(tx, { error, isGone: status === GONE, disableAfterMs });
    const entry = { actor: "customer", action: "notifications.disable", target: "notifications" };
    if (isDisabled) appendToTrail(tx, [{ ...entry, detail: { reason: error } }]);
    return isDisabled;
  });
}
