import type { Logger } from "moleculer";
import type { Database } from "../../lib/database.ts";
import { log } from "../../lib/logging.ts";
import { createPoller, type Poller } from "../../lib/poller.ts";
import type { PaymentCommands } from "./payment.commands.ts";
import { requestOf } from "./payment.intents.ts";
import { type Asked, expiredHolds } from "./payment.store.ts";
import type { ProviderCalls } from "./psp/provider-calls.ts";
import { claimAttempts, renewAttempts } from "./refund.store.ts";

/** What nobody waits for: refunds, late voids, and holds that were forgotten. */

export interface WorkerOptions {
  readonly database: Database;
  readonly commands: PaymentCommands;
  readonly calls: ProviderCalls;
  readonly logger: Logger;
  /** What a dead process had in hand is another's after this time. */
  readonly leaseMs: number;
}

/** Most that one process has in hand. */
const ATTEMPTS_MAX = 100;
export const PAYMENT_POLL_MS = 500;
/** Renewals of a lease within its time: one may fail, and one come late. */
const RENEWALS = 3;
const EXPIRY_POLL_MS = 10_000;

/** Asks the provider for what is due, until each answer is known. */
export function createAttemptWorker(options: WorkerOptions): Poller {
  const { database, commands, calls, logger, leaseMs } = options;
  const inHand = new Map<string, Promise<void>>();
  const failed = (err: unknown) => log(logger, {}).warn("the payment worker will try again", { err });
  const work = async ({ payment, attempt }: Asked) => {
    // Whoever had it before may have asked: then it is looked up first.
    const result = await calls.ask(requestOf(payment, attempt), attempt.tries > 1);
    await commands.settle(attempt.id, result);
  };
  const take = (asked: Asked) => {
    const { id } = asked.attempt;
    const working = work(asked)
      .catch(failed)
      .finally(() => {
        const wasFull = inHand.size >= ATTEMPTS_MAX;
        inHand.delete(id);
        if (wasFull) attempts.wake();
      });
    inHand.set(id, working);
  };
  const attempts = createPoller({
    name: "payment attempts",
    intervalMs: PAYMENT_POLL_MS,
    onError: failed,
    run: async () => {
      const places = ATTEMPTS_MAX - inHand.size;
      const due = places > 0 ? await claimAttempts(database, places, leaseMs) : [];
      // One whose lease ran out while this process stood still is in hand already.
      for (const asked of due) if (!inHand.has(asked.attempt.id)) take(asked);
      return false;
    },
  });
  const leases = createPoller({
    name: "payment leases",
    intervalMs: leaseMs / RENEWALS,
    onError: failed,
    run: async () => {
      if (inHand.size > 0) await renewAttempts(database, [...inHand.keys()], leaseMs);
      return false;
    },
  });
  return {
    start() {
      attempts.start();
      leases.start();
    },
    wake: () => attempts.wake(),
    async stop() {
      await attempts.stop();
      await Promise.all(inHand.values());
      await leases.stop();
    },
  };
}

/** Voids what is still held after its time: as its transaction's own cancel, so that a late confirm is refused. */
export function createExpiryWorker({ database, commands, logger }: WorkerOptions): Poller {
  const expire = async (gid: string) => {
    const correlationId = `expiry ${gid}`;
    const { paymentId } = await commands.cancel({ params: { gid }, correlationId });
    log(logger, { correlationId, sagaId: gid }).warn("a hold was voided after its time", { gid, paymentId });
  };
  return createPoller({
    name: "payment expiry",
    intervalMs: EXPIRY_POLL_MS,
    onError: (err) => log(logger, {}).warn("the expiry of holds will try again", { err }),
    run: async () => {
      const gids = await expiredHolds(database, ATTEMPTS_MAX);
      const ends = await Promise.allSettled(gids.map(expire));
      for (const end of ends) if (end.status === "rejected") throw end.reason;
      return gids.length === ATTEMPTS_MAX;
    },
  });
}
