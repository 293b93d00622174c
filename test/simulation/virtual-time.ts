import type { Scheduler } from "./scheduler.ts";

/**
 * Runs code whose timers, and the end of whose ticks, are steps of the schedule; `performance.now` tells its time, and
 * ids are drawn. What
 * a process has set goes with the process.
 */
export async function inVirtualTime<Result>(
  scheduler: Scheduler,
  run: () => Promise<Result>,
): Promise<Result> {
  const { setImmediate, setTimeout, clearTimeout } = globalThis;
  const now = performance.now;
  const getRandomValues = crypto.getRandomValues;
  const bytes = scheduler.random.at("ids");
  const cancelled = new Set<unknown>();
  const set =
    (label: string) =>
    (callback: () => void, delayMs: number = 0) => {
      const timer = {};
      const fire = () => (cancelled.delete(timer) ? undefined : callback());
      scheduler.post(label, delayMs, fire, scheduler.current);
      return timer;
    };
  globalThis.setImmediate = set("batch") as unknown as typeof setImmediate;
  globalThis.setTimeout = set("timer") as unknown as typeof setTimeout;
  globalThis.clearTimeout = ((timer: unknown) => void cancelled.add(timer)) as typeof clearTimeout;
  performance.now = () => scheduler.nowMs;
  // The end of an id decides which bucket its events are in.
  crypto.getRandomValues = (<View extends Uint8Array>(view: View) => {
    for (let index = 0; index < view.length; index += 1) view[index] = bytes.between(0, 255);
    return view;
  }) as typeof getRandomValues;
  try {
    return await run();
  } finally {
    Object.assign(globalThis, { setImmediate, setTimeout, clearTimeout });
    performance.now = now;
    crypto.getRandomValues = getRandomValues;
  }
}
