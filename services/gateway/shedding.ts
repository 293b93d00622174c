import type { IncomingMessage } from "node:http";
import type { Config } from "../../lib/config.ts";
import { OverloadedError } from "../../lib/errors.ts";
import type { Metrics } from "../../lib/metrics.ts";
import type { Route } from "./contract/route.ts";
import { waitSecondsOf } from "./request.ts";

/**
 * What a request is to the system: it begins new work, it looks, it brings work to its end, or it waits (Prefer: wait)
 * and costs next to nothing. Under load the first is given up first, and what ends work, and so makes room, last.
 */
export type Purpose = "begin" | "look" | "end" | "wait";

export interface Shedder {
  /** Takes a request on, or says why not. Who was taken on has to `leave`. */
  enter(purpose: Purpose): OverloadedError | undefined;
  leave(purpose: Purpose): void;
  inFlight(): Readonly<Record<"working" | "waiting", number>>;
}

export interface ShedderOptions {
  /** Requests at once from which on no new work is begun; 0: any number. */
  readonly inFlightMax: number;
  /** Delay of the event loop from which on no new work is begun; 0: any delay. */
  readonly delayMaxMs: number;
  readonly delayMs: () => number;
  readonly onShed?: (purpose: Purpose) => void;
}

/** How far beyond the limit each purpose is still served. */
const PATIENCE: Readonly<Record<Purpose, { readonly inFlight: number; readonly delay: number }>> = {
  begin: { inFlight: 1, delay: 1 },
  look: { inFlight: 1.5, delay: 2 },
  wait: { inFlight: 10, delay: 2 },
  // Refused only to stay alive.
  end: { inFlight: 4, delay: Number.POSITIVE_INFINITY },
};

/** Requests in flight measure whatever is behind the gateway, the event loop's delay measures the gateway itself. */
export function createShedder(options: ShedderOptions): Shedder {
  const { inFlightMax, delayMaxMs, delayMs, onShed } = options;
  let working = 0;
  let waiting = 0;
  const isTooMuch = (purpose: Purpose) => {
    const { inFlight, delay } = PATIENCE[purpose];
    const busy = purpose === "wait" ? waiting : working;
    if (inFlightMax > 0 && busy >= inFlightMax * inFlight) return true;
    return delayMaxMs > 0 && delayMs() > delayMaxMs * delay;
  };
  return {
    enter(purpose) {
      if (isTooMuch(purpose)) {
        onShed?.(purpose);
        return new OverloadedError("gateway", retryAfterSeconds());
      }
      if (purpose === "wait") waiting += 1;
      else working += 1;
      return undefined;
    },
    leave(purpose) {
      if (purpose === "wait") waiting -= 1;
      else working -= 1;
    },
    inFlight: () => ({ working, waiting }),
  };
}

/** Spread, so that those who were refused together do not come back together. */
function retryAfterSeconds(): number {
  return 1 + Math.floor(Math.random() * 3);
}

const ENDS = /\/(confirm|cancel|refund|ship|complete|deactivate|webhooks)(\/|$)/;
const purposes = new WeakMap<Route, Purpose>();

/** What a request is for. */
export function purposeOf(route: Route, { headers }: IncomingMessage): Purpose {
  const purpose = purposes.get(route) ?? noted(route);
  return purpose === "look" && headers.prefer !== undefined && waitSecondsOf(headers) > 0 ? "wait" : purpose;
}

function noted(route: Route): Purpose {
  const purpose = route.method === "GET" ? "look" : ENDS.test(route.path) ? "end" : "begin";
  purposes.set(route, purpose);
  return purpose;
}

export interface LoopDelay {
  /** The delay that has lasted: the lesser one of the last two samples. A single pause, as for garbage, does not count. */
  readonly ms: () => number;
  /** How many samples it has taken. */
  readonly samples: () => number;
  stop(): void;
}

const SAMPLED_MS = 100;

/** Samples how late timers are, which is how long everything that arrives waits for its turn. */
export function watchLoopDelay(): LoopDelay {
  let last = performance.now();
  let [latest, before] = [0, 0];
  let samples = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    before = latest;
    latest = Math.max(0, now - last - SAMPLED_MS);
    last = now;
    samples += 1;
  }, SAMPLED_MS);
  timer.unref();
  return {
    ms: () => Math.min(latest, before),
    samples: () => samples,
    stop: () => clearInterval(timer),
  };
}

/** With its settings, told of by metrics. */
export function createGatewayShedder(settings: Config, metrics: Metrics, delay: LoopDelay): Shedder {
  const shedder = createShedder({
    inFlightMax: settings.SHED_IN_FLIGHT,
    delayMaxMs: settings.SHED_LOOP_DELAY_MS,
    delayMs: delay.ms,
    onShed: (purpose) => metrics.add("holdfast_http_shed_total", 1, { purpose }),
  });
  metrics.begin(
    "holdfast_http_shed_total",
    Object.keys(PATIENCE).map((purpose) => ({ purpose })),
  );
  metrics.collect(() => {
    for (const [kind, count] of Object.entries(shedder.inFlight()))
      metrics.set("holdfast_http_in_flight", count, { kind });
  });
  return shedder;
}
