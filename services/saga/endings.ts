import { createPoller } from "../../lib/poller.ts";
import { createWaiters } from "../../lib/waiters.ts";

export interface Endings {
  /** Resolves when the instance has ended, at the latest after that time. */
  wait(id: string, timeoutMs: number): Promise<boolean>;
  tell(ids: readonly string[]): void;
  start(): void;
  stop(): Promise<void>;
}

/** An ending on this node is told at once; one on another node is found by looking this often, while anyone waits. */
const REMOTE_ENDINGS_MS = 200;

/** Lets callers wait for endings, wherever they happen. @param endedOf which of these ids have ended */
export function createEndings(
  name: string,
  endedOf: (ids: readonly string[]) => Promise<readonly string[]>,
  onError: (error: unknown) => void,
): Endings {
  const waiters = createWaiters();
  const poller = createPoller({
    name,
    intervalMs: REMOTE_ENDINGS_MS,
    run: async () => {
      const ids = waiters.awaited();
      if (ids.length > 0) waiters.tell(await endedOf(ids));
      return false;
    },
    onError,
  });
  return { wait: waiters.wait, tell: waiters.tell, start: poller.start, stop: poller.stop };
}
