import { createPoller, type Poller } from "../../lib/poller.ts";
import { until } from "../support/until.ts";

/** A run whose passes end when the test says so. */
function steered() {
  const open: { resolve: (more: boolean) => void; reject: (error: unknown) => void }[] = [];
  let begun = 0;
  return {
    run: () =>
      new Promise<boolean>((resolve, reject) => {
        begun += 1;
        open.push({ resolve, reject });
      }),
    begun: () => begun,
    finish: (more = false) => open.shift()?.resolve(more),
    fail: (error: unknown) => open.shift()?.reject(error),
  };
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
const never = 3_600_000;
const unexpected = (error: unknown) => {
  throw error;
};

const started: Poller[] = [];
function start(poller: Poller): Poller {
  started.push(poller);
  poller.start();
  return poller;
}
afterEach(async () => {
  for (const poller of started.splice(0)) await poller.stop();
});

test("the first pass begins with the start, the next after the interval", async () => {
  const times: number[] = [];
  start(
    createPoller({
      name: "interval",
      intervalMs: 50,
      run: async () => {
        times.push(performance.now());
        return false;
      },
      onError: unexpected,
    }),
  );
  expect(times).toHaveLength(1);
  await until("three passes", () => times.length >= 3);
  const [first = 0, second = 0, third = 0] = times;
  // Timers may fire a millisecond early.
  expect(second - first).toBeGreaterThanOrEqual(48);
  expect(third - second).toBeGreaterThanOrEqual(48);
});

test("a pass that has more to do is followed by another at once", async () => {
  let left = 5;
  start(
    createPoller({
      name: "more",
      intervalMs: never,
      run: async () => {
        left -= 1;
        return left > 0;
      },
      onError: unexpected,
    }),
  );
  await until("nothing left", () => left === 0);
});

test("a wake-up between passes begins one now", async () => {
  const { run, begun, finish } = steered();
  const poller = start(createPoller({ name: "wake", intervalMs: never, run, onError: unexpected }));
  finish();
  await tick();
  expect(begun()).toBe(1);
  poller.wake();
  expect(begun()).toBe(2);
  finish();
});

test("a wake-up during a pass is not lost, and passes never overlap", async () => {
  const { run, begun, finish } = steered();
  const poller = start(createPoller({ name: "during", intervalMs: never, run, onError: unexpected }));
  poller.wake();
  poller.wake();
  expect(begun()).toBe(1);
  finish();
  await until("the pass that was asked for", () => begun() === 2);
  finish();
  await tick();
  // Two wake-ups in one pass are answered by one pass.
  expect(begun()).toBe(2);
});

test("a wake-up before the start or after the stop does nothing", async () => {
  const { run, begun } = steered();
  const poller = createPoller({ name: "asleep", intervalMs: never, run, onError: unexpected });
  poller.wake();
  expect(begun()).toBe(0);
  await poller.stop();
  poller.wake();
  poller.start();
  expect(begun()).toBe(0);
});

test("an error is told and never ends the loop; the next pass comes after a back-off that grows to its cap", async () => {
  const errors: { message: string; at: number }[] = [];
  let passes = 0;
  let healthy = false;
  start(
    createPoller({
      name: "back-off",
      intervalMs: 1,
      backoffMaxMs: 300,
      run: async () => {
        passes += 1;
        if (!healthy) throw new Error(`pass ${passes}`);
        return false;
      },
      onError: (error) => errors.push({ message: (error as Error).message, at: performance.now() }),
    }),
  );
  await until("three failures", () => errors.length === 3);
  healthy = true;
  const [first, second, third] = errors.map(({ at }) => at);
  expect(errors.map(({ message }) => message)).toEqual(["pass 1", "pass 2", "pass 3"]);
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(198);
  expect((third ?? 0) - (second ?? 0)).toBeGreaterThanOrEqual(298);
  // Healthy again, it is back at its interval.
  await until("many passes", () => passes > 20);
});

test("a wake-up while passes fail does not cut the back-off short", async () => {
  let passes = 0;
  const poller = start(
    createPoller({
      name: "outage",
      intervalMs: never,
      backoffMaxMs: 200,
      run: async () => {
        passes += 1;
        if (passes <= 2) throw new Error("away");
        return false;
      },
      onError: () => undefined,
    }),
  );
  await tick();
  const before = performance.now();
  for (let wakes = 0; wakes < 10; wakes += 1) {
    poller.wake();
    await tick();
  }
  await until("the outage over", () => passes === 3);
  expect(performance.now() - before).toBeGreaterThanOrEqual(390);
});

test("a run that throws before it awaits anything is a failed pass like any other", async () => {
  const errors: unknown[] = [];
  start(
    createPoller({
      name: "throws",
      intervalMs: 1,
      run: () => {
        throw new RangeError("at once");
      },
      onError: (error) => errors.push(error),
    }),
  );
  await until("two failures", () => errors.length === 2);
});

test("stop waits for the pass in hand, begins no other, and may be called twice", async () => {
  const { run, begun, finish } = steered();
  const poller = start(createPoller({ name: "stop", intervalMs: 1, run, onError: unexpected }));
  let stopped = false;
  const stopping = Promise.all([poller.stop(), poller.stop()]).then(() => {
    stopped = true;
  });
  await tick();
  expect(stopped).toBe(false);
  // Neither "more" nor a wake-up keeps it running.
  poller.wake();
  finish(true);
  await stopping;
  expect(begun()).toBe(1);
  await poller.stop();
});

test("stop during a back-off ends it at once", async () => {
  const { run, begun, fail } = steered();
  const poller = start(createPoller({ name: "stop", intervalMs: never, run, onError: () => undefined }));
  fail(new Error("away"));
  await tick();
  await poller.stop();
  expect(begun()).toBe(1);
});
