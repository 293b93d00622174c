import { asWork } from "./fault-points.ts";
import { inScope } from "./tracing/tracing.ts";

export interface PollerOptions {
  readonly name: string;
  readonly intervalMs: number;
  /** One pass. Answers true when there is more to do at once. */
  readonly run: () => Promise<boolean>;
  /** Every failed pass ends here; the next one comes after a back-off. */
  readonly onError: (error: unknown) => void;
  readonly backoffMaxMs?: number;
}

export interface Poller {
  start(): void;
  /** Asks for a pass now; during one, for another right after it. */
  wake(): void;
  /** Ends after the pass in hand. Idempotent. */
  stop(): Promise<void>;
}

/**
 * The one loop of the house: relay, recovery, expiry and retention all run on it. Passes never overlap,
 * a wake-up during a pass is not lost, an error never ends the loop.
 */
export function createPoller(options: PollerOptions): Poller {
  const { intervalMs, backoffMaxMs = Math.max(5_000, intervalMs) } = options;
  let state: "new" | "running" | "stopped" = "new";
  let timer: NodeJS.Timeout | undefined;
  let passing: Promise<void> | undefined;
  let wakeUps = 0;
  let failures = 0;

  // A run that throws at once must fail as late as any other: not before its pass is noted as under way.
  // And whoever woke it, it does not work for them alone.
  const run = async () => inScope(undefined, () => asWork(options.name, options.run));
  const pass = async () => {
    try {
      let more = true;
      while (more && state === "running") {
        const before = wakeUps;
        more = (await run()) || wakeUps !== before;
        failures = 0;
      }
    } catch (error) {
      failures += 1;
      options.onError(error);
    }
    passing = undefined;
    if (state === "running") {
      const delay = failures === 0 ? intervalMs : Math.min(backoffMaxMs, 100 * 2 ** Math.min(failures, 10));
      timer = setTimeout(begin, delay);
    }
  };
  const begin = () => {
    if (state !== "running" || passing !== undefined) return;
    clearTimeout(timer);
    passing = pass();
  };
  return {
    start() {
      if (state !== "new") return;
      state = "running";
      begin();
    },
    wake() {
      wakeUps += 1;
      // While passes fail, the back-off stands: a wake-up must not turn an outage into a busy loop.
      if (failures === 0) begin();
    },
    async stop() {
      state = "stopped";
      clearTimeout(timer);
      await passing;
    },
  };
}
