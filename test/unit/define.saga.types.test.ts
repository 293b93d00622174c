import { type BeforePivot, defineSaga } from "../../engine/define.ts";

/** What the compiler must refuse in a saga's definition: `tsc` fails where an expected error does not occur. */

interface Actions {
  "seat.hold": { params: { flight: string; seats: number }; result: { holdId: string } };
  "seat.free": { params: { holdId: string | undefined }; result: object };
  "card.charge": { params: { minor: number }; result: { chargeId: string } };
}
interface Events {
  PACK: { boxes: number };
  PACKED: { weight: number };
  PACK_FAILED: { why: string };
  UNPACK: { weight: number | undefined };
  UNPACKED: object;
}
interface Input {
  readonly flight: string;
}

const saga = () => defineSaga<Actions, Events>()<Input>("TYPED");
const hold = { params: ({ input }: { input: Input }) => ({ flight: input.flight, seats: 1 }) };
const noCompensation = "nothing to undo";
const freed = { action: "seat.free", params: () => ({ holdId: undefined }) } as const;
const packing = { publish: "PACK", data: () => ({ boxes: 1 }), success: "PACKED", timeoutMs: 1 } as const;
const charge = { params: () => ({ minor: 1 }) };

test("a step before the pivot says how it is undone, or why it needs no undoing", () => {
  saga().call("hold", "seat.hold", { ...hold, compensate: freed });
  saga().call("hold", "seat.hold", { ...hold, noCompensation });
  saga().request("pack", { ...packing, noCompensation });
  // @ts-expect-error a call that says neither
  saga().call("hold", "seat.hold", hold);
  // @ts-expect-error a request that says neither
  saga().request("pack", packing);
  // @ts-expect-error both at once
  saga().call("hold", "seat.hold", { ...hold, compensate: freed, noCompensation });
});

test("a step from the pivot on has no compensation", () => {
  const after = () => saga().pivot("charge", "card.charge", charge);
  after().call("hold", "seat.hold", hold);
  after().request("pack", packing);
  saga().pivot("charge", "card.charge", {
    ...charge,
    // @ts-expect-error the pivot itself
    compensate: freed,
  });
  after().call("hold", "seat.hold", {
    ...hold,
    // @ts-expect-error a call after it
    compensate: freed,
  });
  after().request("pack", {
    ...packing,
    // @ts-expect-error a request after it
    noCompensation,
  });
});

test("a compensation sees what its step recorded, or that there may be nothing", () => {
  saga().call("hold", "seat.hold", {
    ...hold,
    compensate: { action: "seat.free", params: ({ result }) => ({ holdId: result?.holdId }) },
  });
  saga().call("hold", "seat.hold", {
    ...hold,
    compensate: {
      action: "seat.free",
      // @ts-expect-error the step's outcome may be unknown
      params: ({ result }) => ({ holdId: result.holdId }),
    },
  });
  saga().call("hold", "seat.hold", {
    ...hold,
    compensate: {
      action: "seat.free",
      // @ts-expect-error its result has no such field
      params: ({ result }) => ({ holdId: result?.chargeId }),
    },
  });
  saga().request("pack", {
    ...packing,
    compensate: {
      publish: "UNPACK",
      data: ({ result, failure }) => ({ weight: result?.weight ?? failure.code.length }),
      success: "UNPACKED",
      timeoutMs: 1,
    },
  });
  saga().request("pack", {
    ...packing,
    compensate: {
      publish: "UNPACK",
      // @ts-expect-error what a request records is its answer, which has no boxes
      data: ({ result }) => ({ weight: result?.boxes }),
      success: "UNPACKED",
      timeoutMs: 1,
    },
  });
  saga().call("hold", "seat.hold", {
    ...hold,
    record: ({ holdId }) => holdId.length,
    compensate: {
      action: "seat.free",
      // @ts-expect-error it sees what was recorded of the result, not the whole
      params: ({ result }) => ({ holdId: result?.holdId }),
    },
  });
});

test("a step sees the results of the steps before it, and of no others", () => {
  const held = saga().call("hold", "seat.hold", { ...hold, noCompensation });
  held.pivot("charge", "card.charge", { params: ({ results }) => ({ minor: results.hold.holdId.length }) });
  // @ts-expect-error no step of that name has been
  held.call("next", "card.charge", { params: ({ results }) => results.later, noCompensation });
  // @ts-expect-error not even the step itself
  held.call("self", "card.charge", { params: ({ results }) => results.self, noCompensation });
});

test("names and params are those of the contracts", () => {
  // @ts-expect-error an action that nobody has
  saga().call("hold", "seat.grab", { ...hold, noCompensation });
  // @ts-expect-error a param of another type
  saga().call("hold", "seat.hold", { params: () => ({ flight: "HF1", seats: "1" }), noCompensation });
  // @ts-expect-error a param that is missing
  saga().call("hold", "seat.hold", { params: () => ({ flight: "HF1" }), noCompensation });
  saga().call("hold", "seat.hold", {
    // @ts-expect-error an input that the saga is not started with
    params: ({ input }) => ({ flight: input.plane, seats: 1 }),
    noCompensation,
  });
  // @ts-expect-error an event that nobody has
  saga().request("pack", { ...packing, publish: "WRAP", noCompensation });
  // @ts-expect-error data that the event does not carry
  saga().request("pack", { ...packing, data: () => ({ boxes: "1" }), noCompensation });
  // @ts-expect-error an answer that nobody has
  saga().request("pack", { ...packing, success: "WRAPPED", noCompensation });
  // @ts-expect-error a compensation by an action that nobody has
  saga().call("hold", "seat.hold", { ...hold, compensate: { action: "seat.drop", params: () => ({}) } });
  // @ts-expect-error a compensation with params of another action
  saga().call("hold", "seat.hold", { ...hold, compensate: { action: "seat.free", params: charge.params } });
});

test("the reason of a failure is made of that event's data", () => {
  saga().request("pack", {
    ...packing,
    failure: { event: "PACK_FAILED", reason: ({ why }) => ({ code: why, message: why }) },
    noCompensation,
  });
  saga().request("pack", {
    ...packing,
    // @ts-expect-error it has no such field
    failure: { event: "PACK_FAILED", reason: ({ weight }) => ({ code: String(weight), message: "" }) },
    noCompensation,
  });
});

test("a saga has one pivot and cannot be built without it", () => {
  saga().pivot("charge", "card.charge", charge).build();
  const held = saga().call("hold", "seat.hold", { ...hold, noCompensation });
  // @ts-expect-error it has no pivot yet
  expect(held.build).toBeInstanceOf(Function);
  // @ts-expect-error a second one
  const second = () => saga().pivot("charge", "card.charge", charge).pivot("again", "card.charge", charge);
  expect(second).not.toThrow();
});

test("two steps of one name are refused when the definition is loaded", () => {
  const begun: BeforePivot<Input, Record<never, never>, Actions, Events> = saga();
  begun.call("hold", "seat.hold", { ...hold, noCompensation });
  expect(() => begun.call("hold", "seat.hold", { ...hold, noCompensation })).toThrow(
    "TYPED has two steps named hold",
  );
});
