import type { IncomingMessage } from "node:http";
import { ROUTES } from "../../services/gateway/routes.ts";
import { createShedder, type Purpose, purposeOf, watchLoopDelay } from "../../services/gateway/shedding.ts";
import { until } from "../support/until.ts";

/** What is given up first when there is too much to do, and what never before it. */

const OVERLOADED = { code: 503, type: "OVERLOADED" };

function shedderAt(delayMs: () => number = () => 0) {
  const shed: Purpose[] = [];
  const shedder = createShedder({
    inFlightMax: 10,
    delayMaxMs: 100,
    delayMs,
    onShed: (purpose) => shed.push(purpose),
  });
  const enter = (purpose: Purpose, count: number) =>
    Array.from({ length: count }, () => shedder.enter(purpose)).filter((refusal) => refusal === undefined)
      .length;
  return { shedder, shed, enter };
}

test("new work is refused first, then looking, then what ends work", () => {
  const { shedder, shed, enter } = shedderAt();
  expect(enter("begin", 12)).toBe(10);
  expect(enter("look", 10)).toBe(5);
  expect(enter("end", 50)).toBe(25);
  expect(shedder.enter("end")).toMatchObject(OVERLOADED);
  expect(new Set(shed)).toEqual(new Set(["begin", "look", "end"]));
  for (let left = 0; left < 31; left += 1) shedder.leave("end");
  expect(enter("begin", 5)).toBe(1);
});

test("those who wait are counted apart: they take no place, and are given none beyond theirs", () => {
  const { shedder, enter } = shedderAt();
  expect(enter("wait", 101)).toBe(100);
  expect(enter("begin", 11)).toBe(10);
  expect(shedder.inFlight()).toEqual({ working: 10, waiting: 100 });
});

test("a slow event loop stops new work, then looking, and never what ends work", () => {
  let delay = 0;
  const { enter } = shedderAt(() => delay);
  const taken = () => [enter("begin", 1), enter("look", 1), enter("wait", 1), enter("end", 1)];
  expect(taken()).toEqual([1, 1, 1, 1]);
  delay = 150;
  expect(taken()).toEqual([0, 1, 1, 1]);
  delay = 10_000;
  expect(taken()).toEqual([0, 0, 0, 1]);
});

test("a refusal says when to come back, and not the same to everybody", () => {
  const { shedder, enter } = shedderAt();
  enter("begin", 10);
  const waits = Array.from(
    { length: 100 },
    () => shedder.enter("begin")?.data as { retryAfterSeconds: number },
  );
  expect(new Set(waits.map(({ retryAfterSeconds }) => retryAfterSeconds))).toEqual(new Set([1, 2, 3]));
});

test("without limits nothing is refused", () => {
  const shedder = createShedder({ inFlightMax: 0, delayMaxMs: 0, delayMs: () => 1e9 });
  for (let count = 0; count < 10_000; count += 1) expect(shedder.enter("begin")).toBeUndefined();
});

test("routes are told apart by what they do", () => {
  const purpose = (method: string, path: string, headers = {}) => {
    const route = ROUTES.find((one) => one.method === method && one.path === path);
    if (!route) throw new Error(`no route ${method} ${path}`);
    return purposeOf(route, { headers } as IncomingMessage);
  };
  expect(purpose("POST", "/orders")).toBe("begin");
  expect(purpose("POST", "/orders/:orderId/pay")).toBe("begin");
  expect(purpose("POST", "/payments/try")).toBe("begin");
  expect(purpose("GET", "/orders/:orderId")).toBe("look");
  expect(purpose("GET", "/orders/:orderId", { prefer: "wait=5" })).toBe("wait");
  expect(purpose("POST", "/orders", { prefer: "wait=5" })).toBe("begin");
  for (const path of [
    "/orders/:orderId/cancel",
    "/payments/confirm/:id",
    "/payments/cancel/:id",
    "/products/stock/confirm/:orderId",
    "/payments/webhooks/:provider",
    "/payments/:paymentId/refund",
  ])
    expect(purpose("POST", path)).toBe("end");
});

test("a loop that is held up again and again shows its delay; a single pause does not", async () => {
  const delay = watchLoopDelay();
  const block = (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
  };
  // Right after a sample that came in time.
  await until("it is quiet", () => delay.samples() > 1 && delay.ms() < 50);
  const before = delay.samples();
  block(300);
  await until("the pause is sampled", () => delay.samples() > before);
  expect(delay.ms()).toBeLessThan(150);
  await until("the delay is seen", () => {
    block(300);
    return delay.ms() > 100;
  });
  delay.stop();
});
