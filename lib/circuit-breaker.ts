/**
 * A circuit breaker for an outside party. While most of what is asked of it fails, nothing is asked, so that nobody waits
 * for it in vain and it can recover; now and then one question is let through to find out.
 */
export interface CircuitBreaker {
  /** How many may be asked now: any number, one to find out, or none. */
  places(): number;
  /** Takes a place. False: nothing may be asked now. Who got one has to `leave`. */
  enter(): boolean;
  leave(isGood: boolean): void;
  readonly isOpen: () => boolean;
}

export interface CircuitBreakerOptions {
  /** It opens when at least this share of what was asked within the window has failed. */
  readonly failureShare: number;
  /** Fewer questions than these say nothing. */
  readonly callsMin: number;
  readonly windowMs: number;
  /** How long nothing is asked after it has opened; doubled with each attempt that fails, up to the most. */
  readonly openMs: number;
  readonly openMsMax: number;
  readonly onChange?: (state: "open" | "closed") => void;
  readonly now?: () => number;
}

interface Tally {
  readonly since: number;
  calls: number;
  failures: number;
}

export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { failureShare, callsMin, windowMs, openMsMax, onChange, now = () => performance.now() } = options;
  const tally = (): Tally => ({ since: now(), calls: 0, failures: 0 });
  // The window slides by halves.
  let [current, before] = [tally(), tally()];
  let openUntil: number | undefined;
  let openMs = options.openMs;
  let isTrying = false;

  const slide = () => {
    if (now() - current.since < windowMs / 2) return;
    before = now() - current.since < windowMs ? current : tally();
    current = tally();
  };
  const open = () => {
    openUntil = now() + openMs;
    openMs = Math.min(openMsMax, openMs * 2);
    onChange?.("open");
  };
  const close = () => {
    openUntil = undefined;
    openMs = options.openMs;
    [current, before] = [tally(), tally()];
    onChange?.("closed");
  };
  const count = (isGood: boolean) => {
    slide();
    current.calls += 1;
    if (isGood) return;
    current.failures += 1;
    const calls = current.calls + before.calls;
    const failures = current.failures + before.failures;
    if (calls >= callsMin && failures >= calls * failureShare) open();
  };
  const places = () => {
    if (openUntil === undefined) return Number.POSITIVE_INFINITY;
    return isTrying || now() < openUntil ? 0 : 1;
  };
  return {
    places,
    enter() {
      if (places() === 0) return false;
      if (openUntil !== undefined) isTrying = true;
      return true;
    },
    leave(isGood) {
      // What was asked before it opened says nothing new.
      if (openUntil === undefined) count(isGood);
      else if (isTrying && now() >= openUntil) {
        isTrying = false;
        if (isGood) close();
        else open();
      }
    },
    isOpen: () => openUntil !== undefined,
  };
}
