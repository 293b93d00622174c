import type { TccInstance, TccState } from "../../engine/tcc-instance.ts";
import { createPhaseTimer } from "../../engine/tcc-phases.ts";

/** Each phase is timed from one change of state to the next, on the node that saw both. */

function setUp() {
  const observed: [string, number][] = [];
  let now = 0;
  const timer = createPhaseTimer(
    (phase, seconds) => observed.push([phase, seconds]),
    () => now,
  );
  const at = (ms: number) => {
    now = ms;
  };
  const instance = (state: TccState) => ({ id: "t", state }) as TccInstance;
  const move = (from: TccState, to: TccState) =>
    timer.saved([{ before: instance(from), after: instance(to), published: [] }]);
  return { observed, timer, at, instance, move };
}

test("try ends with the decision, confirm with the end", () => {
  const { observed, timer, at, instance, move } = setUp();
  timer.started([instance("TRYING")]);
  at(40);
  move("TRYING", "CONFIRMING");
  at(55);
  // A retry that is noted is no change of state.
  move("CONFIRMING", "CONFIRMING");
  at(120);
  move("CONFIRMING", "CONFIRMED");
  expect(observed).toEqual([
    ["try", 0.04],
    ["confirm", 0.08],
  ]);
});

test("a refused pivot: the confirm has ended, the cancel begins", () => {
  const { observed, timer, at, instance, move } = setUp();
  timer.started([instance("TRYING")]);
  move("TRYING", "CONFIRMING");
  at(10);
  move("CONFIRMING", "CANCELLING");
  at(30);
  move("CANCELLING", "CANCELLED");
  expect(observed).toEqual([
    ["try", 0],
    ["confirm", 0.01],
    ["cancel", 0.02],
  ]);
});

test("what began on another node is not timed, what begins here is", () => {
  const { observed, at, move } = setUp();
  move("TRYING", "CANCELLING");
  at(5);
  move("CANCELLING", "CANCELLED");
  expect(observed).toEqual([["cancel", 0.005]]);
});
