import fc from "fast-check";
import type { Exchange, SagaDefinition, StepDefinition } from "../../engine/define.ts";
import type { Input, Outcome } from "../../engine/protocol.ts";
import type { SagaInstance, SagaState, StepStatus } from "../../engine/saga-instance.ts";
import { createOrderSaga } from "../../services/saga/create-order.saga.ts";
import { type PackedProgress, packProgress, unpackProgress } from "../../services/saga/saga.progress.ts";
import { drive, errorOf, NOW, ORDER_ID } from "./saga.drive.ts";

/**
 * Any definition, any inputs in any order: no illegal state is ever reached, and answers that come in fair
 * measure end every saga. Illegal is what `check` looks for after each input.
 */

const request = (name: string, failure: boolean): Exchange => ({
  kind: "request",
  publish: `ASK_${name}`,
  data: () => ({}),
  success: `DONE_${name}`,
  failure: failure ? { event: `FAILED_${name}`, reason: () => ({ code: "NO", message: "no" }) } : undefined,
  timeoutMs: 1_000,
});
const call = (name: string): Exchange => ({
  kind: "call",
  action: name,
  params: () => ({}),
  timeoutMs: 100,
});

const attemptsMax = fc.integer({ min: 1, max: 3 });
const beforePivot = fc.record({
  kind: fc.constantFrom("call", "request"),
  undo: fc.constantFrom("call", "request", "none"),
  repeatable: fc.boolean(),
  attemptsMax,
});
const afterPivot = fc.record({ kind: fc.constantFrom("call", "request"), attemptsMax });

const definitions: fc.Arbitrary<SagaDefinition> = fc
  .record({
    before: fc.array(beforePivot, { maxLength: 4 }),
    pivot: attemptsMax,
    after: fc.array(afterPivot, { maxLength: 2 }),
  })
  .map(({ before, pivot, after }) => ({
    type: "ANY",
    steps: [
      ...before.map(({ kind, undo, ...rest }, index): StepDefinition => {
        const name = `before${index}`;
        const exchange = kind === "call" ? call(name) : request(name, true);
        const undoing = undo === "call" ? call(`undo_${name}`) : request(`undo_${name}`, false);
        return {
          name,
          mode: "compensatable",
          exchange,
          compensation: undo === "none" ? undefined : undoing,
          ...rest,
        };
      }),
      { name: "pivot", mode: "pivot", exchange: call("pivot"), attemptsMax: pivot, repeatable: false },
      ...after.map(({ kind, ...rest }, index): StepDefinition => {
        const name = `after${index}`;
        const exchange = kind === "call" ? call(name) : request(name, false);
        return { name, mode: "retriable", exchange, repeatable: false, ...rest };
      }),
    ],
  }));

const createOrder = fc.constant(createOrderSaga(30_000) as SagaDefinition);

/** An input in terms of whatever saga it is given to; the numbers choose among what there is. */
type Move =
  | { kind: "reply"; age: number; answer: "ok" | "refused" | "transient" }
  | { kind: "event"; which: number; eventId: number }
  | { kind: "timer" };
const moves = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("reply" as const),
        age: fc.nat(6),
        answer: fc.constantFrom("ok", "ok", "refused", "transient"),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("event" as const), which: fc.nat(40), eventId: fc.nat(20) }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: "timer" as const }) },
  ) as fc.Arbitrary<Move>,
  { maxLength: 60 },
);

const eventsOf = (definition: SagaDefinition) =>
  definition.steps
    .flatMap(({ exchange, compensation }) => [exchange, compensation])
    .flatMap((one) => (one?.kind === "request" ? [one.success, one.failure?.event ?? one.success] : []))
    .concat("UNHEARD_OF");

const reservationFailed = { productId: "p", reason: "OUT_OF_STOCK", available: 0, requested: 1 };

function inputOf(move: Move, definition: SagaDefinition, tokens: readonly string[]): Input {
  if (move.kind === "timer") return move;
  if (move.kind === "event") {
    const events = eventsOf(definition);
    const type = events[move.which % events.length] ?? "";
    return { kind: "event", eventId: `event-${move.eventId}`, type, data: reservationFailed };
  }
  // Age 0 is the latest call; older ones are stale, and what is older than all was never asked.
  const token = tokens.at(-1 - move.age) ?? "forward:nowhere:1";
  if (move.answer === "ok") return { kind: "reply", token, reply: { ok: true, result: { items: [] } } };
  return { kind: "reply", token, reply: { ok: false, error: errorOf("ANY", move.answer === "transient") } };
}

const NEXT: Readonly<Record<SagaState, readonly SagaState[]>> = {
  RUNNING: ["RUNNING", "COMPENSATING", "STUCK", "COMPLETED", "COMPENSATED"],
  COMPENSATING: ["COMPENSATING", "STUCK", "COMPENSATED"],
  STUCK: ["STUCK", "RUNNING", "COMPENSATING", "COMPLETED", "COMPENSATED"],
  COMPLETED: ["COMPLETED"],
  COMPENSATED: ["COMPENSATED"],
};

const NEXT_OF_STEP: Readonly<Record<StepStatus, readonly StepStatus[]>> = {
  RUNNING: ["RUNNING", "SUCCEEDED", "FAILED", "UNKNOWN", "COMPENSATING", "COMPENSATED"],
  SUCCEEDED: ["SUCCEEDED", "COMPENSATING"],
  UNKNOWN: ["UNKNOWN", "COMPENSATING"],
  FAILED: ["FAILED"],
  COMPENSATING: ["COMPENSATING", "COMPENSATED"],
  COMPENSATED: ["COMPENSATED"],
};

const succeeded = ({ progress }: SagaInstance) =>
  progress.steps.filter(({ status }) => status === "SUCCEEDED").map(({ name }) => name);
const undoneOf = ({ progress }: SagaInstance) =>
  progress.steps.filter(({ status }) => status === "COMPENSATING" || status === "COMPENSATED");

function check(
  definition: SagaDefinition,
  before: SagaInstance,
  { instance: after, ...outcome }: Outcome<SagaInstance>,
) {
  const ended = (one: SagaInstance) => one.state === "COMPLETED" || one.state === "COMPENSATED";
  const step = (name: string) => definition.steps.find((one) => one.name === name);
  const published = outcome.effects.filter(({ kind }) => kind === "publish").length;
  const calls = outcome.effects.filter(({ kind }) => kind === "call");
  const pivotPassed = succeeded(before).includes("pivot");

  expect(NEXT[before.state]).toContain(after.state);
  expect(after.published - before.published).toBe(published);
  expect(after.version).toBe(before.version);
  if (!outcome.changed) expect({ after, effects: outcome.effects }).toEqual({ after: before, effects: [] });
  if (!outcome.durable) expect(published).toBe(0);
  if (ended(before)) expect({ ...after, published: 0 }).toEqual({ ...before, published: 0 });
  // An open instance can always be woken, an ended one is never.
  expect([after.wakeInMs === null, after.step === null]).toEqual([ended(after), ended(after)]);
  expect(calls.length).toBeLessThanOrEqual(1);
  if (before.progress.direction === "backward") expect(after.progress.direction).toBe("backward");
  if (pivotPassed) expect([after.progress.direction, undoneOf(after)]).toEqual(["forward", []]);
  // Each step is entered once, in order, and succeeds once.
  const names = after.progress.steps.map(({ name }) => name);
  expect(names).toEqual(definition.steps.slice(0, names.length).map(({ name }) => name));
  for (const { name, status } of before.progress.steps) {
    const now = after.progress.steps.find((record) => record.name === name)?.status;
    expect(NEXT_OF_STEP[status]).toContain(now);
  }
  // Undone in reverse order: behind the one in hand nothing is left to undo.
  const open = after.progress.steps.findIndex(({ status }) => status === "COMPENSATING");
  if (after.progress.direction === "backward") {
    for (const { name, status } of after.progress.steps.slice(open + 1)) {
      if (status === "SUCCEEDED" || status === "UNKNOWN") expect(step(name)?.compensation).toBeUndefined();
    }
  }
  if (after.state === "COMPLETED") expect(succeeded(after)).toHaveLength(definition.steps.length);
  if (after.state === "STUCK" && after.progress.direction === "forward")
    expect(step(after.step ?? "")?.mode).not.toBe("compensatable");
}

/** Answers, well, whatever the saga waits for. */
function answerFairly(saga: ReturnType<typeof drive>, definition: SagaDefinition): void {
  const step = definition.steps.find(({ name }) => name === saga.step());
  const backward = saga.instance().progress.direction === "backward";
  const exchange = backward ? step?.compensation : step?.exchange;
  if (exchange?.kind === "request") saga.event(exchange.success, reservationFailed);
  else saga.ok({ items: [] });
}

test("no order of inputs leads to an illegal state, and fair answers then end every saga", () => {
  fc.assert(
    fc.property(fc.oneof(definitions, createOrder), moves, (definition, sequence) => {
      const saga = drive(definition, { orderId: ORDER_ID, customerId: "c", items: [] });
      const take = (input: Input) => {
        const before = saga.instance();
        const awaited = saga.protocol.owed(before).map(({ token }) => token);
        const outcome = saga.give(input);
        if (input.kind === "reply" && !awaited.includes(input.token)) expect(outcome.changed).toBe(false);
        check(definition, before, outcome);
        // What comes back from the database goes the same way.
        const packed: PackedProgress = JSON.parse(JSON.stringify(packProgress(before.progress)));
        const copy = { ...before, progress: unpackProgress(packed) };
        expect(saga.protocol.advance(copy, input, NOW)).toEqual(outcome);
        const asked = outcome.effects.filter(({ kind }) => kind === "call");
        if (asked.length > 0) expect(saga.protocol.owed(saga.instance())).toEqual(asked);
      };
      for (const move of sequence) {
        take(
          inputOf(
            move,
            definition,
            saga.calls().map(({ token }) => token),
          ),
        );
      }
      expect(saga.instance().published).toBe(saga.published().length);
      // Once forward and once back through each step.
      const most = 2 * definition.steps.length;
      for (let inputs = 0; inputs < most && saga.step() !== null; inputs += 1) answerFairly(saga, definition);
      expect(["COMPLETED", "COMPENSATED"]).toContain(saga.state());
      for (const { name, status } of saga.instance().progress.steps) {
        const step = definition.steps.find((one) => one.name === name);
        if (saga.state() === "COMPENSATED" && step?.compensation)
          expect(["COMPENSATED", "FAILED"]).toContain(status);
      }
    }),
    { numRuns: 1_000 },
  );
});

test("without any answer a saga before its pivot turns back within the limits of its tries", () => {
  fc.assert(
    fc.property(definitions, (definition) => {
      const saga = drive(definition);
      const [first] = definition.steps;
      fc.pre(first?.mode === "compensatable");
      const limit = 2 * (first?.attemptsMax ?? 1);
      for (let inputs = 0; inputs < limit && saga.instance().progress.direction === "forward"; inputs += 1) {
        if (saga.protocol.owed(saga.instance()).length > 0) saga.miss();
        else saga.timer();
      }
      expect(saga.instance().progress.direction).toBe("backward");
    }),
  );
});
