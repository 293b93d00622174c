import { createBatcher } from "../../lib/batcher.ts";
import { CommitOutcomeUnknownError, DatabaseUnavailableError } from "../../lib/errors.ts";
import { until } from "../support/until.ts";

/** Batches that end when the test says so. */
function gate() {
  const open: (() => void)[] = [];
  return {
    pass: () => new Promise<void>((resolve) => open.push(resolve)),
    /** Lets the oldest batch in flight finish. */
    release: () => open.shift()?.(),
    inFlight: () => open.length,
  };
}

/** A batcher whose batches end when the test says so, and how large they are. */
function gated(onTheirWay?: () => number) {
  const sizes: number[] = [];
  const { pass, release, inFlight } = gate();
  const batcher = createBatcher<number, number>({
    name: "gated",
    onTheirWay,
    run: async (items) => {
      sizes.push(items.length);
      await pass();
      return items;
    },
  });
  return { batcher, sizes, release, inFlight };
}

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

test("a lone item waits for nothing but the end of the tick", async () => {
  const batches: string[][] = [];
  const batcher = createBatcher<string, string>({
    name: "lone",
    run: async (items) => {
      batches.push([...items]);
      return items.map((item) => item.toUpperCase());
    },
  });
  const answer = batcher("a");
  expect(batches).toEqual([]);
  await tick();
  expect(batches).toEqual([["a"]]);
  await expect(answer).resolves.toBe("A");
});

test("calls of one tick share a batch and get their own results in order", async () => {
  const batcher = createBatcher<number, number>({
    name: "tick",
    run: async (items) => items.map((item) => item * 2),
  });
  await expect(Promise.all([1, 2, 3].map((item) => batcher(item)))).resolves.toEqual([2, 4, 6]);
  expect(batcher.sizes).toEqual({ batches: 1, items: 3 });
});

test("a batch forms from what arrives while others are in flight", async () => {
  const batches: number[][] = [];
  const { pass, release, inFlight } = gate();
  const batcher = createBatcher<number, number>({
    name: "forming",
    concurrency: 2,
    run: async (items) => {
      batches.push([...items]);
      await pass();
      return items;
    },
  });
  const answers = [batcher(1)];
  await tick();
  answers.push(batcher(2));
  await tick();
  for (const item of [3, 4, 5]) {
    answers.push(batcher(item));
    await tick();
  }
  expect(batches).toEqual([[1], [2]]);
  expect(inFlight()).toBe(2);
  expect(batcher.waiting()).toBe(3);
  release();
  await until("the next batch", () => batches.length === 3);
  expect(batches).toEqual([[1], [2], [3, 4, 5]]);
  expect(batcher.waiting()).toBe(0);
  release();
  release();
  await expect(Promise.all(answers)).resolves.toEqual([1, 2, 3, 4, 5]);
});

test("a batch holds at most sizeMax items, and the rest follows in order", async () => {
  const batches: number[][] = [];
  const batcher = createBatcher<number, number>({
    name: "size",
    sizeMax: 2,
    concurrency: 1,
    run: async (items) => {
      batches.push([...items]);
      return items;
    },
  });
  await Promise.all([1, 2, 3, 4, 5].map((item) => batcher(item)));
  expect(batches).toEqual([[1, 2], [3, 4], [5]]);
});

test("never more than `concurrency` batches are in flight", async () => {
  let running = 0;
  let most = 0;
  const batcher = createBatcher<number, number>({
    name: "concurrency",
    sizeMax: 1,
    concurrency: 3,
    run: async (items) => {
      running += 1;
      most = Math.max(most, running);
      await tick();
      running -= 1;
      return items;
    },
  });
  await Promise.all(Array.from({ length: 20 }, (_, item) => batcher(item)));
  expect(most).toBe(3);
});

test("an error as an answer rejects that item alone, without another run", async () => {
  let runs = 0;
  const batcher = createBatcher<number, number>({
    name: "answers",
    run: async (items) => {
      runs += 1;
      return items.map((item) => (item === 2 ? new RangeError("two") : item));
    },
  });
  const settled = await Promise.allSettled([1, 2, 3].map((item) => batcher(item)));
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(settled[1]).toMatchObject({ reason: { message: "two" } });
  expect(runs).toBe(1);
});

test("a bad item that fails its batch harms only itself: the others are run again one by one", async () => {
  const runs: number[][] = [];
  const batcher = createBatcher<number, number>({
    name: "bad item",
    run: async (items) => {
      runs.push([...items]);
      if (items.includes(2)) throw new RangeError("bad");
      return items;
    },
  });
  const settled = await Promise.allSettled([1, 2, 3].map((item) => batcher(item)));
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(settled[1]).toMatchObject({ reason: { message: "bad" } });
  expect(runs).toEqual([[1, 2, 3], [1], [2], [3]]);
});

test.each([new DatabaseUnavailableError("order"), new CommitOutcomeUnknownError("order")])(
  "what repeating would only meet again goes to every item as it is: $type",
  async (error) => {
    let runs = 0;
    const batcher = createBatcher<number, number>({
      name: "away",
      run: async () => {
        runs += 1;
        throw error;
      },
    });
    const settled = await Promise.allSettled([1, 2, 3].map((item) => batcher(item)));
    for (const one of settled) expect(one).toEqual({ status: "rejected", reason: error });
    expect(runs).toBe(1);
  },
);

test("a database that goes away while a failed batch is run again ends those items, and only those", async () => {
  const batcher = createBatcher<number, number>({
    name: "away later",
    run: async (items) => {
      if (items.length > 1) throw new RangeError("bad batch");
      if (items[0] === 2) throw new DatabaseUnavailableError("order");
      return items;
    },
  });
  const settled = await Promise.allSettled([1, 2, 3].map((item) => batcher(item)));
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(settled[1]).toMatchObject({ reason: { type: "DATABASE_UNAVAILABLE" } });
});

test("a run that answers too few results answers nobody with another's", async () => {
  const batcher = createBatcher<number, number>({ name: "short", run: async () => [1] });
  const settled = await Promise.allSettled([7, 8].map((item) => batcher(item)));
  // Alone, each item gets the one result there is; together nobody can know whose it is.
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  const none = createBatcher<number, number>({ name: "none", run: async () => [] });
  await expect(none(1)).rejects.toMatchObject({ message: "a batch of 1 answered 0 results" });
});

test("a run that throws before it awaits anything rejects its items and stops nothing", async () => {
  let healthy = false;
  const batcher = createBatcher<number, number>({
    name: "throws",
    run: (items) => {
      if (!healthy) throw new RangeError("at once");
      return Promise.resolve(items);
    },
  });
  await expect(batcher(1)).rejects.toMatchObject({ message: "at once" });
  healthy = true;
  await expect(batcher(2)).resolves.toBe(2);
});

test("beyond queueMax waiting items a call is refused at once, and what waits is still done", async () => {
  const { pass, release, inFlight } = gate();
  const batcher = createBatcher<number, number>({
    name: "full",
    concurrency: 1,
    queueMax: 2,
    run: async (items) => {
      await pass();
      return items;
    },
  });
  const first = batcher(1);
  await tick();
  const waiting = [batcher(2), batcher(3)];
  await expect(batcher(4)).rejects.toMatchObject({ type: "OVERLOADED", code: 503, retryable: true });
  release();
  await first;
  await until("the next batch", () => inFlight() === 1);
  release();
  await expect(Promise.all(waiting)).resolves.toEqual([2, 3]);
});

describe("in a crowd", () => {
  const crowd = Array.from({ length: 20 }, (_, index) => index);

  test("a few that come beside a large batch are gathered, and go when it is stuck", async () => {
    const { batcher, sizes, release, inFlight } = gated();
    const first = crowd.map((item) => batcher(item));
    await until("it is in flight", () => inFlight() === 1);
    const few = [batcher(20), batcher(21)];
    for (let round = 0; round < 10; round += 1) await tick();
    expect(inFlight()).toBe(1);
    few.push(batcher(22));
    await until("they no longer wait for it", () => inFlight() === 2);
    expect(sizes).toEqual([20, 3]);
    release();
    release();
    await expect(Promise.all([...first, ...few])).resolves.toHaveLength(23);
  });

  test("a batch waits as long as each round of the event loop brings more", async () => {
    const batcher = createBatcher<number, number>({ name: "window", run: async (items) => items });
    const answers = crowd.map((item) => batcher(item));
    for (const item of [20, 21, 22]) {
      await tick();
      answers.push(batcher(item));
    }
    await Promise.all(answers);
    expect(batcher.sizes).toEqual({ batches: 1, items: 23 });
  });

  test("that never ends is not waited for, and neither is one that fills a batch", async () => {
    const sizeMax = 1_000_000;
    const endless = createBatcher<number, number>({ name: "endless", sizeMax, run: async (items) => items });
    const answers = crowd.map((item) => endless(item));
    const deadline = performance.now() + 1_000;
    while (endless.sizes.batches === 0 && performance.now() < deadline) {
      answers.push(endless(1));
      await tick();
    }
    expect(endless.sizes.batches).toBe(1);
    await Promise.all(answers);
    const full = createBatcher<number, number>({ name: "full", sizeMax: 20, run: async (items) => items });
    const filling = crowd.map((item) => full(item));
    await tick();
    expect(full.sizes).toEqual({ batches: 1, items: 20 });
    await Promise.all(filling);
  });

  test("who lets in lets in half of those that are here or on their way", async () => {
    let onTheirWay = 0;
    const { batcher, sizes, release, inFlight } = gated(() => onTheirWay);
    const first = crowd.map((item) => batcher(item));
    await until("two batches", () => inFlight() === 2);
    release();
    release();
    await Promise.all(first);
    onTheirWay = 20;
    const second = crowd.map((item) => batcher(item));
    await until("one batch", () => inFlight() === 1);
    release();
    await Promise.all(second);
    expect(sizes).toEqual([10, 10, 20]);
  });
});
