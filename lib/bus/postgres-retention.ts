import { setTimeout as wait } from "node:timers/promises";
import { type Database, withTransaction } from "../database.ts";
import { createPoller, type Poller } from "../poller.ts";
import { deleteExpiredEntries } from "./postgres-bus.store.ts";

/** Rows of each partition that one step deletes: at 20 us a row 60 ms for a topic of six partitions. */
const STEP_MAX = 500;
/** Between two steps, for publishers and consumers: a backlog of days is no reason to hold them up. */
const PAUSE_MS = 100;

interface ExpireOptions {
  readonly stepMax?: number;
  readonly pauseMs?: number;
  readonly signal?: AbortSignal;
}

/** Deletes the messages that outlived their topic's retention, in bounded steps. @returns how many went */
export async function expireMessages(database: Database, options: ExpireOptions = {}): Promise<number> {
  const { stepMax = STEP_MAX, pauseMs = PAUSE_MS, signal } = options;
  let total = 0;
  while (signal?.aborted !== true) {
    const gone = await withTransaction(database, (tx) => deleteExpiredEntries(tx, stepMax));
    total += gone;
    if (gone === 0) break;
    // It rejects when it is aborted, and for nothing else: the loop sees that.
    await wait(pauseMs, undefined, { signal }).catch(() => undefined);
  }
  return total;
}

/** Once a minute; an advisory lock lets one process of the cluster take a step at a time. */
export function createRetention(database: Database, onError: (error: unknown) => void): Poller {
  const stop = new AbortController();
  const poller = createPoller({
    name: "bus-retention",
    intervalMs: 60_000,
    onError,
    run: async () => {
      await expireMessages(database, { signal: stop.signal });
      return false;
    },
  });
  return {
    ...poller,
    async stop() {
      stop.abort();
      await poller.stop();
    },
  };
}
