import { bucketsOf, quantileMs } from "../../bench/measure/histogram.ts";

/** The bench reads its quantiles off the services' own histograms. */

const page = (counts: readonly number[]) =>
  [0.05, 0.1, "+Inf"].map((le, i) => `phase_bucket{phase="try",le="${le}"} ${counts[i]}`).join("\n");

test("what lies between two readings counts, within its bucket evenly, and processes add up", () => {
  const before = bucketsOf(page([10, 10, 10]), "phase", 'phase="try"');
  const after = bucketsOf(`${page([15, 15, 15])}\n${page([45, 85, 85])}`, "phase", 'phase="try"');
  expect([...after]).toEqual([
    [0.05, 60],
    [0.1, 100],
    [Number.POSITIVE_INFINITY, 100],
  ]);
  // 90 of them: 50 within 50 ms, 40 between 50 and 100 ms.
  expect(quantileMs(before, after, 0.5)).toBeCloseTo(45);
  expect(quantileMs(before, after, 0.95)).toBeCloseTo(94.375);
  expect(quantileMs(after, after, 0.5)).toBeUndefined();
});

test("beyond the last bound the last bound is all that is known; other labels do not count", () => {
  const all = bucketsOf(page([0, 0, 4]), "phase", 'phase="try"');
  expect(quantileMs(new Map(), all, 0.5)).toBe(100);
  expect(bucketsOf(page([1, 1, 1]), "phase", 'phase="confirm"').size).toBe(0);
});
