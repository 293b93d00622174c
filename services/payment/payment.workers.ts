import type { Logger } from "moleculer";
import type { Database } from "../../lib/database.ts";
import { log } from "../../lib/logging.ts";
import { createPoller, type Poller } from "../../lib/poller.ts";
import type { PaymentCommands } from "./payment.commands.ts";
import { requestOf } from "./payment.intents.ts";
import { type Asked, expiredHolds } from "./payment.store.ts";
import type { ProviderCalls } from "./psp/provider-calls.ts";
import { claimAttempts } from "./refund.store.ts";

/** What nobody waits for: refunds, late voids, and holds that were forgotten. */

export interface WorkerOptions {
  readonly database: Database;
  readonly commands: PaymentCommands;
  readonly calls: ProviderCalls;
  readonly logger: Logger;
  readonly timeoutMs: number;
}

const ATTEMPTS_MAX = 100;
const POLL_MS = 500;
const EXPIRY_POLL_MS = 10_000;

/** Asks the provider for what is due, until each answer is known. */
export function createAttemptWorker(options: WorkerOptions): Poller {
  const { database, commands, calls, logger, timeoutMs } = options;
  // Lookup and question, each with its wait for a place and its timeout.
  const leaseMs = 4 * timeoutMs + 5_000;
  const work = async ({ payment, attempt }: Asked) => {
    const result = await calls.ask(requestOf(payment, attempt), attempt.tries > 1);
    await commands.settle(attempt.id, result);
  };
  return createPoller({
    name: "payment attempts",
    intervalMs: POLL_MS,
    onError: (err) => log(logger, {}).warn("the payment worker will try again", { err }),
    run: async () => {
      const due = await claimAttempts(database, ATTEMPTS_MAX, leaseMs);
      const ends = await Promise.allSettled(due.map(work));
      for (const end of ends) if (end.status === "rejected") throw end.reason;
      return due.length === ATTEMPTS_MAX;
    },
  });
}

/** Voids what is still held after its time: as its transaction's own cancel, so that a late confirm is refused. */
export function createExpiryWorker({ database, commands, logger }: WorkerOptions): Poller {
  const expire = async (gid: string) => {
    const { paymentId } = await commands.cancel({ params: { gid }, correlationId: `expiry ${gid}` });
    log(logger, {}).warn("a hold was voided after its time", { gid, paymentId });
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
