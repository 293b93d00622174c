import { type CircuitBreaker, createCircuitBreaker } from "../../lib/circuit-breaker.ts";

/** When an outside party is not asked any more, and when again. */

let time = 0;
const changes: string[] = [];
beforeEach(() => {
  time = 0;
  changes.splice(0);
});

const breaker = () =>
  createCircuitBreaker({
    failureShare: 0.5,
    callsMin: 4,
    windowMs: 1_000,
    openMs: 100,
    openMsMax: 350,
    onChange: (state) => changes.push(state),
    now: () => time,
  });

function ask(circuit: CircuitBreaker, ...results: readonly boolean[]): boolean[] {
  return results.map((isGood) => {
    if (!circuit.enter()) return false;
    circuit.leave(isGood);
    return true;
  });
}

test("a few failures, or a small share of many, leave it closed", () => {
  const circuit = breaker();
  expect(ask(circuit, false, false, false)).toEqual([true, true, true]);
  expect(ask(circuit, true, true, true, true, true, false)).not.toContain(false);
  expect(circuit.places()).toBe(Number.POSITIVE_INFINITY);
  expect(changes).toEqual([]);
});

test("when half of it fails it opens, and asks nothing until its time", () => {
  const circuit = breaker();
  ask(circuit, true, true, false, false);
  expect([circuit.isOpen(), circuit.places(), circuit.enter()]).toEqual([true, 0, false]);
  time = 99;
  expect(circuit.enter()).toBe(false);
  time = 100;
  expect(circuit.places()).toBe(1);
});

test("one question finds out: nobody else asks meanwhile, and a good answer closes it", () => {
  const circuit = breaker();
  ask(circuit, false, false, false, false);
  time = 100;
  expect([circuit.enter(), circuit.enter(), circuit.places()]).toEqual([true, false, 0]);
  circuit.leave(true);
  expect([circuit.isOpen(), circuit.places()]).toEqual([false, Number.POSITIVE_INFINITY]);
  // What failed before it opened is forgotten.
  expect(ask(circuit, false, false, false)).not.toContain(false);
  expect(changes).toEqual(["open", "closed"]);
});

test("each attempt that fails keeps it open for twice as long, up to the most", () => {
  const circuit = breaker();
  ask(circuit, false, false, false, false);
  for (const openMs of [100, 200, 350, 350]) {
    time += openMs - 1;
    expect(circuit.enter()).toBe(false);
    time += 1;
    expect(ask(circuit, false)).toEqual([true]);
  }
});

test("answers to what was asked before it opened neither close it nor open it anew", () => {
  const circuit = breaker();
  for (let calls = 0; calls < 8; calls += 1) circuit.enter();
  for (let calls = 0; calls < 4; calls += 1) circuit.leave(false);
  time = 50;
  for (let calls = 0; calls < 4; calls += 1) circuit.leave(true);
  expect(circuit.isOpen()).toBe(true);
  time = 100;
  expect(circuit.places()).toBe(1);
});

test("what failed long ago does not count", () => {
  const circuit = breaker();
  ask(circuit, false, false, false);
  time = 2_000;
  expect(ask(circuit, false, true, true)).not.toContain(false);
  expect(circuit.isOpen()).toBe(false);
});
