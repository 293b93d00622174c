import { FAULT_KINDS, plan } from "../failure/campaign/schedule.ts";

test("the same seed draws the same faults, another one others", () => {
  expect(plan(42, 5)).toEqual(plan(42, 5));
  expect(plan(42, 5).fingerprint).not.toBe(plan(43, 5).fingerprint);
});

test("half an hour holds at least 500 deaths and 100 outages, and every kind of fault", () => {
  const faults = plan(1, 30).rounds.flatMap((round) => round.faults);
  const count = (pattern: RegExp) => faults.filter(({ kind }) => pattern.test(kind)).length;
  expect(count(/^kill$/)).toBeGreaterThanOrEqual(500);
  expect(count(/^(postgres|kafka|nats|disk)/)).toBeGreaterThanOrEqual(100);
  expect(FAULT_KINDS.filter((kind) => count(new RegExp(`^${kind}$`)) === 0)).toEqual([]);
});

test("what a machine does not allow is left out, and nothing else changes", () => {
  const all = plan(7, 3).rounds.flatMap((round) => round.faults);
  const some = plan(7, 3, new Set(["disk-full"])).rounds.flatMap((round) => round.faults);
  expect(some).toEqual(all.filter(({ kind }) => kind !== "disk-full"));
});

test("no fault outlasts its round", () => {
  for (const { lastsMs, faults } of plan(9, 10).rounds.filter(({ name }) => name === "storm"))
    for (const fault of faults) expect(fault.atMs + fault.lastsMs).toBeLessThanOrEqual(lastsMs);
});
