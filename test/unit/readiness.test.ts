import { ServiceBroker } from "moleculer";
import { readinessOf } from "../../lib/readiness.ts";

const readiness = () => readinessOf(new ServiceBroker({ logger: false }));

test("a process is ready when every check passes", async () => {
  const checks = readiness();
  checks.register("one", async () => undefined);
  expect(await checks.report()).toEqual({ ready: true, checks: { one: { ok: true } } });
  checks.register("two", () => Promise.reject(new Error("no connection")));
  expect(await checks.report()).toEqual({
    ready: false,
    checks: { one: { ok: true }, two: { ok: false, error: "no connection" } },
  });
});

test("a check that throws at once, or never answers, has failed", async () => {
  const checks = readiness();
  checks.register("throws", () => {
    throw new Error("broken");
  });
  checks.register("hangs", () => new Promise(() => undefined));
  const { ready, checks: results } = await checks.report();
  expect(ready).toBe(false);
  expect(results.throws).toEqual({ ok: false, error: "broken" });
  expect(results.hangs?.error).toMatch(/no answer within/);
});

test("many askers share one run, and a result is good for a second", async () => {
  const checks = readiness();
  let runs = 0;
  checks.register("counted", async () => {
    runs += 1;
  });
  await Promise.all([checks.report(), checks.report(), checks.report()]);
  expect(runs).toBe(1);
  const clock = jest.spyOn(performance, "now").mockReturnValue(performance.now() + 1_100);
  await checks.report();
  clock.mockRestore();
  expect(runs).toBe(2);
});

test("a check that its owner has taken away is not asked", async () => {
  const checks = readiness();
  const remove = checks.register("gone", () => Promise.reject(new Error("away")));
  remove();
  expect(await checks.report()).toEqual({ ready: true, checks: {} });
});

test("taking away an old check leaves the new one of its name", async () => {
  const checks = readiness();
  const remove = checks.register("database", async () => undefined);
  checks.register("database", () => Promise.reject(new Error("away")));
  remove();
  expect((await checks.report()).ready).toBe(false);
});
