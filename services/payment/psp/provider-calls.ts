import type { CircuitBreaker } from "../../../lib/circuit-breaker.ts";
import { OverloadedError } from "../../../lib/errors.ts";
import type { LookupResult, Provider, ProviderRequest, ProviderResult } from "./port.ts";

export interface ProviderCallsOptions {
  readonly concurrencyMax: number;
  readonly timeoutMs: number;
  /** While most questions get no certain answer none is asked; left out: always asked. */
  readonly breaker?: CircuitBreaker;
  /** Told of each answer, and how long it took. */
  readonly onAnswer?: (request: ProviderRequest, result: ProviderResult, seconds: number) => void;
  readonly onError: (request: ProviderRequest, error: unknown) => void;
}

export interface ProviderCalls {
  /**
   * Asks the provider, or, for an attempt that may have been asked before, finds out first what became of it.
   * Whatever goes wrong on the way is the result "unknown", never a guess.
   */
  ask(request: ProviderRequest, askedBefore: boolean): Promise<ProviderResult>;
}

/** How many calls may wait for one place in the bulkhead, before more are turned away. */
const WAITING_PER_PLACE = 20;

/** Puts a bulkhead, a circuit breaker, a timeout and a check of the amount before a provider. One attempt is under way once. */
export function createProviderCalls(provider: Provider, options: ProviderCallsOptions): ProviderCalls {
  const enter = createBulkhead(options.concurrencyMax, options.timeoutMs);
  const underWay = new Map<string, Promise<ProviderResult>>();

  const { breaker } = options;
  const answered = async <Result extends LookupResult>(
    request: ProviderRequest,
    run: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result | Unknown> => {
    try {
      return await withTimeout(run, options.timeoutMs);
    } catch (error) {
      options.onError(request, error);
      return unknown("PSP_ERROR");
    }
  };
  const call = async <Result extends LookupResult>(
    request: ProviderRequest,
    run: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result | Unknown> => {
    const leave = await enter();
    if (!leave) return unknown("PSP_BUSY");
    try {
      if (breaker?.enter() === false) return unknown("PSP_UNAVAILABLE");
      const result = await answered(request, run);
      breaker?.leave(result.kind !== "unknown");
      return result;
    } finally {
      leave();
    }
  };
  const ask = async (request: ProviderRequest, askedBefore: boolean): Promise<ProviderResult> => {
    if (askedBefore) {
      const found = await call(request, (signal) => provider.lookup(request, signal));
      if (found.kind !== "absent") return found;
    }
    return call(request, (signal) => provider[request.operation](request, signal));
  };
  const timed = async (request: ProviderRequest, asking: Promise<ProviderResult>) => {
    const before = performance.now();
    const result = await asking;
    options.onAnswer?.(request, result, (performance.now() - before) / 1_000);
    return result;
  };
  return {
    async ask(request, askedBefore) {
      const running = underWay.get(request.attemptId) ?? timed(request, ask(request, askedBefore));
      underWay.set(request.attemptId, running);
      try {
        const result = await running;
        if (result.kind !== "succeeded" || result.amountMinor === request.amountMinor) return result;
        options.onError(request, new RangeError(`the provider tells of ${result.amountMinor}`));
        return unknown("PSP_AMOUNT_MISMATCH");
      } finally {
        underWay.delete(request.attemptId);
      }
    },
  };
}

type Unknown = ProviderResult & { readonly kind: "unknown" };

function unknown(code: string): Unknown {
  return { kind: "unknown", code };
}

async function withTimeout<Result>(
  run: (signal: AbortSignal) => Promise<Result>,
  timeoutMs: number,
): Promise<Result | Unknown> {
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Unknown>((resolve) => {
    timer = setTimeout(() => {
      resolve(unknown("PSP_TIMEOUT"));
      abort.abort();
    }, timeoutMs);
  });
  const running = run(abort.signal);
  // What it does after its time is nobody's to hear.
  running.catch(() => undefined);
  try {
    return await Promise.race([running, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Answers how to leave; undefined when no place became free in time. @throws OverloadedError */
function createBulkhead(places: number, waitMs: number): () => Promise<(() => void) | undefined> {
  const waiting: (() => void)[] = [];
  let taken = 0;
  const leave = () => {
    const next = waiting.shift();
    if (next) next();
    else taken -= 1;
  };
  return async () => {
    if (taken < places) {
      taken += 1;
      return leave;
    }
    if (waiting.length >= places * WAITING_PER_PLACE) throw new OverloadedError("payment provider");
    return new Promise((resolve) => {
      const admit = () => {
        clearTimeout(timer);
        resolve(leave);
      };
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(admit), 1);
        resolve(undefined);
      }, waitMs);
      waiting.push(admit);
    });
  };
}
