import { type Database, withTransaction } from "../database.ts";
import { createPoller, type Poller } from "../poller.ts";
import { deleteExpiredEntries } from "./postgres-bus.store.ts";

/** Rows of each partition that one step deletes: at 20 us a row 60 ms for a topic of six partitions. */
const STEP_MAX = 500;

/** Deletes the messages that outlived their topic's retention, in bounded steps. @returns how many went */
export async function expireMessages(database: Database, stepMax = STEP_MAX): Promise<number> {
  let total = 0;
  for (;;) {
    const gone = await withTransaction(database, (tx) => deleteExpiredEntries(tx, stepMax));
    total += gone;
    if (gone === 0) return total;
  }
}

/** Once a minute; an advisory lock lets one process of the cluster do it at a time. */
export function createRetention(database: Database, onError: (error: unknown) => void): Poller {
  return createPoller({
    name: "bus-retention",
    intervalMs: 60_000,
    onError,
    run: async () => {
      await expireMessages(database);
      return false;
    },
  });
}
