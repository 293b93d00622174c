import type { Database } from "../lib/database.ts";
import { markPublished } from "./outbox.store.ts";

/**
 * What has been published and is not yet marked so in the tables. A crash publishes it once more, as one between the
 * publication and its mark always would, so marks need not be made for each batch; but nothing may be read before them.
 */
export interface Marks {
  add(positions: readonly number[]): void;
  /** Stores all of them: only then may the tables be asked what waits. */
  store(): Promise<void>;
}

/** So long marks are gathered. Nobody waits for them: it only bounds what a crash publishes again. */
const GATHER_MS = 50;

export function createMarks(database: Database, onError: (error: unknown) => void): Marks {
  let open: number[] = [];
  let storing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  const storeOnce = async () => {
    const positions = open;
    open = [];
    try {
      await markPublished(database, positions);
    } catch (error) {
      open = [...positions, ...open];
      throw error;
    }
  };
  const store = async () => {
    clearTimeout(timer);
    timer = undefined;
    await storing?.catch(() => undefined);
    if (open.length === 0) return;
    storing = storeOnce();
    await storing;
  };
  return {
    add(positions) {
      open.push(...positions);
      // A failure is told, and met again by whoever stores next.
      timer ??= setTimeout(() => void store().catch(onError), GATHER_MS);
    },
    store,
  };
}
