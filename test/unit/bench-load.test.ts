import { arrive } from "../../bench/load/arrivals.ts";
import type { Cell } from "../../bench/load/protocol.ts";
import { type Budget, overBudget } from "../../bench/measure/cost.ts";

const cell: Cell = { flow: "create", variant: "uniform", concurrency: 1 };
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** When each order was due, and when it ended, in milliseconds after the first was due. */
async function timesOf(arrivals: Partial<Cell>, count: number, once: () => Promise<void>) {
  const times: { due: number; ended: number; together: number }[] = [];
  let begun = 0;
  let running = 0;
  let from: number | undefined;
  await arrive(
    { ...cell, ...arrivals },
    {
      isOver: () => begun >= count,
      async once(_, dueAt) {
        begun += 1;
        running += 1;
        from ??= dueAt;
        const together = running;
        await once();
        running -= 1;
        times.push({ due: dueAt - from, ended: performance.now() - from, together });
      },
    },
  );
  return times;
}

test("orders of an open loop are due at their rate, whoever is slow: their wait counts", async () => {
  const times = await timesOf({ perSecond: 100 }, 5, () => pause(40));
  expect(times.map(({ due }) => Math.round(due))).toEqual([0, 10, 20, 30, 40]);
  // One at a time, 40 ms each: the fifth was due after 40 ms and ends after 200.
  expect(times[4]?.ended).toBeGreaterThan(190);
});

test("orders of a burst begin at once, and the next ones when all have ended", async () => {
  const times = await timesOf({ concurrency: 3, inBursts: true }, 6, () => pause(5));
  expect(Math.max(...times.map(({ together }) => together))).toBe(3);
  expect(new Set(times.map(({ due }) => due)).size).toBe(2);
});

test("a closed loop has as many in flight as it was told", async () => {
  const times = await timesOf({ concurrency: 2 }, 6, () => pause(2));
  expect(Math.max(...times.map(({ together }) => together))).toBe(2);
});

describe("a budget", () => {
  const cost: Budget = {
    flow: "create",
    together: 1,
    statements: 42,
    commits: 19,
    rows: 46,
    inserts: 24,
    updates: 17,
    deletes: 0,
    rowLocks: 2,
    indexEntries: 48,
    walBytes: 18_000,
  };
  const wrong = (change: Partial<Budget>) => overBudget([{ ...cost, ...change, byDatabase: {} }], [cost]);

  test("lets pass what it says, and what is a little less", () => {
    expect(wrong({})).toEqual([]);
    expect(wrong({ statements: 41.8, inserts: 23 })).toEqual([]);
  });

  test.each([
    ["a statement more", { statements: 43 }, /43 statements an order, the budget is 42/],
    ["a row more", { inserts: 25 }, /25 inserts/],
    ["an index more", { indexEntries: 50 }, /50 indexEntries/],
    ["so much less that it guards nothing", { indexEntries: 30 }, /only 30 indexEntries.*--accept/],
  ])("finds %s", (_, change, complaint) => {
    expect(wrong(change)).toEqual([expect.stringMatching(complaint)]);
  });

  test("knows every load", () => {
    expect(wrong({ flow: "pay" })).toEqual(["pay alone: has no budget"]);
  });
});
