import { defineSaga } from "../../engine/define.ts";
import { drive } from "./saga.drive.ts";

/** Events that come early, late, twice, or for nobody. */

interface Actions {
  "shop.open": { params: object; result: object };
  "shop.close": { params: object; result: object };
  "shop.sell": { params: object; result: object };
}
interface Events {
  TAKE: object;
  TAKEN: { box: number };
  TAKE_FAILED: { why: string };
  GIVE_BACK: { box: number | undefined; why: string };
  GIVEN_BACK: object;
  LABEL: object;
  LABELLED: object;
}

const shop = defineSaga<Actions, Events>()<object>("SHOP")
  .call("open", "shop.open", {
    params: () => ({}),
    compensate: { action: "shop.close", params: () => ({}) },
  })
  .request("take", {
    publish: "TAKE",
    data: () => ({}),
    success: "TAKEN",
    failure: { event: "TAKE_FAILED", reason: ({ why }) => ({ code: why, message: `because ${why}` }) },
    timeoutMs: 5_000,
    compensate: {
      publish: "GIVE_BACK",
      data: ({ result, failure }) => ({ box: result?.box, why: failure.code }),
      success: "GIVEN_BACK",
      timeoutMs: 1_000,
    },
  })
  .request("label", {
    publish: "LABEL",
    data: () => ({}),
    success: "LABELLED",
    timeoutMs: 5_000,
    noCompensation: "a label is only paper",
  })
  .pivot("sell", "shop.sell", { params: () => ({}) })
  .build();

const begin = () => drive(shop);
function atTake() {
  const saga = begin();
  saga.ok();
  return saga;
}
const backs = (saga: ReturnType<typeof begin>) =>
  saga.published().filter(({ type }) => type === "GIVE_BACK").length;

test("an event that comes before its step is kept, and taken when the step begins", () => {
  const saga = begin();
  const { changed, durable, effects } = saga.event("TAKEN", { box: 1 });
  expect({ changed, durable, effects }).toEqual({ changed: true, durable: true, effects: [] });
  expect(saga.instance()).toMatchObject({ step: "open", attempt: 1 });
  saga.ok();
  // The command is published all the same, and answered by what is there already.
  expect(saga.published().map(({ type }) => type)).toEqual(["TAKE", "LABEL"]);
  expect(saga.instance()).toMatchObject({ step: "label", published: 2 });
  expect(saga.instance().progress.results).toMatchObject({ take: { box: 1 } });
  expect(saga.instance().progress.early).toEqual([]);
});

test("several steps in a row may find their answers there", () => {
  const saga = begin();
  saga.event("LABELLED");
  saga.event("TAKEN", { box: 1 });
  saga.ok();
  expect(saga.step()).toBe("sell");
  expect(saga.outcome().effects.map(({ kind }) => kind)).toEqual(["publish", "publish", "call"]);
});

test("an early failure fails its step when it begins", () => {
  const saga = begin();
  saga.event("TAKE_FAILED", { why: "EMPTY" });
  saga.ok();
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "open" });
  expect(saga.instance().progress.failure).toEqual({ code: "EMPTY", message: "because EMPTY", step: "take" });
});

test("an early event that comes twice is kept once", () => {
  const saga = begin();
  saga.event("TAKEN", { box: 1 }, "same");
  expect(saga.event("TAKEN", { box: 1 }, "same").changed).toBe(false);
  expect(saga.instance().progress.early).toHaveLength(1);
});

test("keeping an early event leaves the saga's wake-up as it is", () => {
  const saga = begin();
  const { wakeInMs } = saga.instance();
  saga.event("TAKEN", { box: 1 });
  expect(saga.instance().wakeInMs).toBe(wakeInMs);
});

test("an answer that comes twice counts once", () => {
  const saga = atTake();
  saga.event("TAKEN", { box: 1 }, "first");
  expect(saga.event("TAKEN", { box: 1 }, "first").changed).toBe(false);
  expect(saga.event("TAKEN", { box: 2 }, "second").changed).toBe(false);
  expect(saga.instance().progress.results).toMatchObject({ take: { box: 1 } });
});

test("a failure after the success, and a success after the failure, change nothing", () => {
  const done = atTake();
  done.event("TAKEN", { box: 1 });
  expect(done.event("TAKE_FAILED", { why: "LATE" }).changed).toBe(false);
  const failed = atTake();
  failed.event("TAKE_FAILED", { why: "EMPTY" });
  expect(failed.event("TAKEN", { box: 1 }).changed).toBe(false);
  expect(backs(failed)).toBe(0);
});

test("a success that comes while what it tells of is being undone has it undone once more", () => {
  const saga = atTake();
  saga.timer();
  expect(backs(saga)).toBe(1);
  const late = saga.event("TAKEN", { box: 9 });
  expect(late).toMatchObject({ changed: true, durable: true });
  expect(backs(saga)).toBe(2);
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "take", published: 3 });
  saga.event("GIVEN_BACK");
  expect(saga.step()).toBe("open");
});

test("a success that comes after its undoing, or after the saga's end, is undone once more", () => {
  const saga = atTake();
  saga.timer();
  saga.event("GIVEN_BACK");
  saga.event("TAKEN", { box: 9 });
  expect(backs(saga)).toBe(2);
  // The call in hand is still awaited.
  expect(saga.owed()).toMatchObject({ action: "shop.close" });
  saga.ok();
  expect(saga.state()).toBe("COMPENSATED");
  saga.event("TAKEN", { box: 9 });
  expect(backs(saga)).toBe(3);
  expect(saga.instance()).toMatchObject({ state: "COMPENSATED", step: null, wakeInMs: null, published: 4 });
});

test("a late success of a step that needs no undoing is no matter", () => {
  const saga = atTake();
  saga.event("TAKEN", { box: 1 });
  saga.timer();
  expect(saga.status("label")).toBe("UNKNOWN");
  expect(saga.event("LABELLED").changed).toBe(false);
});

test("while it goes back, an event for a step that it never came to is not kept", () => {
  const saga = atTake();
  saga.event("TAKE_FAILED", { why: "EMPTY" });
  expect(saga.event("LABELLED").changed).toBe(false);
  expect(saga.instance().progress.early).toBeUndefined();
});

test("the answer to an undoing counts only while it is awaited", () => {
  const saga = atTake();
  expect(saga.event("GIVEN_BACK").changed).toBe(false);
  saga.timer();
  saga.event("GIVEN_BACK");
  expect(saga.event("GIVEN_BACK").changed).toBe(false);
  expect(saga.step()).toBe("open");
});

test("an undoing that is not answered is published again", () => {
  const saga = atTake();
  saga.timer();
  saga.timer();
  expect(backs(saga)).toBe(2);
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", attempt: 2, wakeInMs: 1_000 });
});

test("events that the saga knows nothing of change nothing, whenever they come", () => {
  const saga = begin();
  expect(saga.event("SOMETHING_ELSE").changed).toBe(false);
  saga.ok();
  expect(saga.event("SOMETHING_ELSE").changed).toBe(false);
  expect(saga.event("TAKE").changed).toBe(false);
});

test("a reply does not answer a step that waits for an event", () => {
  const saga = atTake();
  const token = "forward:take:1";
  expect(saga.give({ kind: "reply", token, reply: { ok: true, result: {} } }).changed).toBe(false);
});
