import { defineSaga } from "../../engine/define.ts";
import { drive, LEASE_MS } from "./saga.drive.ts";

/** Retries, limits and timers, on a small saga with every kind of step. */

interface Actions {
  "hotel.book": { params: { nights: number }; result: { bookingId: string } };
  "hotel.cancel": { params: { bookingId: string | undefined }; result: object };
  "card.charge": { params: { minor: number }; result: { chargeId: string } };
  "mail.send": { params: { chargeId: string }; result: object };
}
interface Events {
  HOLD_SEAT: { flight: string };
  SEAT_HELD: { seat: string };
  FREE_SEAT: { seat: string | undefined };
  SEAT_FREED: object;
  ISSUE_TICKET: object;
  TICKET_ISSUED: object;
}

const trip = defineSaga<Actions, Events>()<{ nights: number }>("TRIP")
  .call("book", "hotel.book", {
    params: ({ input }) => ({ nights: input.nights }),
    attemptsMax: 3,
    compensate: { action: "hotel.cancel", params: ({ result }) => ({ bookingId: result?.bookingId }) },
  })
  .request("seat", {
    publish: "HOLD_SEAT",
    data: () => ({ flight: "HF1" }),
    success: "SEAT_HELD",
    timeoutMs: 5_000,
    compensate: {
      publish: "FREE_SEAT",
      data: ({ result }) => ({ seat: result?.seat }),
      success: "SEAT_FREED",
      timeoutMs: 1_000,
    },
  })
  .pivot("charge", "card.charge", { params: () => ({ minor: 900 }), attemptsMax: 4 })
  .request("ticket", {
    publish: "ISSUE_TICKET",
    data: () => ({}),
    success: "TICKET_ISSUED",
    timeoutMs: 2_000,
  })
  .call("mail", "mail.send", { params: ({ results }) => ({ chargeId: results.charge.chargeId }) })
  .build();

const begin = () => drive(trip, { nights: 2 });
function atCharge() {
  const saga = begin();
  saga.ok({ bookingId: "B7" });
  saga.event("SEAT_HELD", { seat: "12A" });
  return saga;
}
function atTicket() {
  const saga = atCharge();
  saga.ok({ chargeId: "C1" });
  return saga;
}

test("an unanswered call is tried again after a back-off, under a new token", () => {
  const saga = begin();
  saga.miss();
  expect(saga.instance()).toMatchObject({ state: "RUNNING", step: "book", attempt: 2, wakeInMs: 100 });
  expect(saga.outcome()).toMatchObject({ durable: true, effects: [] });
  expect(saga.instance().progress.steps).toMatchObject([
    { attempts: 2, status: "RUNNING", error: { code: "REQUEST_TIMEOUT" } },
  ]);
  saga.timer();
  expect(saga.outcome()).toMatchObject({
    durable: false,
    effects: [{ token: "forward:book:2", action: "hotel.book", params: { nights: 2 } }],
  });
  expect(saga.instance().wakeInMs).toBe(LEASE_MS);
});

test("the back-off doubles up to half a minute", () => {
  const saga = atCharge();
  saga.ok({ chargeId: "C1" });
  saga.event("TICKET_ISSUED");
  const waits: (number | null)[] = [];
  for (let tries = 1; tries < 12; tries += 1) {
    saga.miss();
    waits.push(saga.instance().wakeInMs);
  }
  expect(waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
});

test("a reply to an earlier try is late, and ignored; the right one then counts once", () => {
  const saga = begin();
  const first = saga.owed().token;
  saga.miss();
  const late = saga.give({ kind: "reply", token: first, reply: { ok: true, result: { bookingId: "B1" } } });
  expect(late).toMatchObject({ changed: false, effects: [] });
  const { token } = saga.owed();
  saga.ok({ bookingId: "B2" });
  const again = saga.give({ kind: "reply", token, reply: { ok: true, result: { bookingId: "B3" } } });
  expect(again.changed).toBe(false);
  expect(saga.instance().progress.results).toEqual({ book: { bookingId: "B2" } });
});

test("a compensation sees what its step recorded", () => {
  const saga = atCharge();
  saga.refuse("CARD_DECLINED");
  expect(saga.published().at(-1)).toMatchObject({ type: "FREE_SEAT", data: { seat: "12A" } });
  saga.event("SEAT_FREED");
  expect(saga.owed()).toMatchObject({ action: "hotel.cancel", params: { bookingId: "B7" } });
});

test("a compensation of a step that never answered has no result to go by", () => {
  const saga = begin();
  for (let tries = 0; tries < 3; tries += 1) saga.miss();
  expect(saga.status("book")).toBe("COMPENSATING");
  expect(saga.owed()).toMatchObject({ action: "hotel.cancel", params: { bookingId: undefined } });
});

test("the timer performs a call again that its node may have lost, under the same token", () => {
  const saga = begin();
  const before = saga.instance();
  const [first] = saga.calls();
  const { effects, durable, changed } = saga.timer();
  expect(effects).toEqual([first]);
  expect({ durable, changed }).toEqual({ durable: false, changed: true });
  expect(saga.instance()).toEqual(before);
  // Both performances may be answered: one of the replies counts.
  const { token } = saga.owed();
  saga.ok({ bookingId: "B7" });
  expect(saga.give({ kind: "reply", token, reply: { ok: true, result: {} } }).changed).toBe(false);
  expect(saga.step()).toBe("seat");
});

test("a refused pivot undoes what was done before it", () => {
  const saga = atCharge();
  saga.refuse("CARD_DECLINED");
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "seat" });
  saga.event("SEAT_FREED");
  saga.ok();
  expect(saga.state()).toBe("COMPENSATED");
});

test("a pivot whose outcome is unknown is asked again until it is known; then a refusal still undoes", () => {
  const saga = atCharge();
  for (let tries = 1; tries <= 10; tries += 1) {
    saga.miss();
    expect(saga.step()).toBe("charge");
    expect(saga.instance().progress.direction).toBe("forward");
  }
  expect(saga.instance()).toMatchObject({ state: "STUCK", attempt: 11, wakeInMs: 300_000 });
  saga.refuse("CARD_DECLINED");
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "seat" });
});

test("a pivot that is stuck goes on forward with the answer that it waited for", () => {
  const saga = atCharge();
  for (let tries = 0; tries < 4; tries += 1) saga.miss();
  expect(saga.state()).toBe("STUCK");
  saga.ok({ chargeId: "C1" });
  expect(saga.instance()).toMatchObject({ state: "RUNNING", step: "ticket", attempt: 1 });
});

test("from the pivot on a cancellation comes too late, whoever asks for it", () => {
  for (const saga of [atCharge(), atTicket()]) {
    const before = saga.instance();
    saga.give({ kind: "cancel", code: "CANCELLED_BY_CUSTOMER", message: "" });
    saga.give({ kind: "operator", action: "compensate" });
    expect(saga.instance()).toEqual(before);
  }
});

test("after the pivot a refusal changes nothing: it is tried again", () => {
  const saga = atTicket();
  saga.event("TICKET_ISSUED");
  for (let tries = 0; tries < 24; tries += 1) saga.refuse("MAILBOX_FULL");
  expect(saga.instance()).toMatchObject({ state: "RUNNING", step: "mail", attempt: 25 });
  saga.refuse("MAILBOX_FULL");
  expect(saga.instance()).toMatchObject({ state: "STUCK", attempt: 26, wakeInMs: 300_000 });
  saga.timer();
  expect(saga.state()).toBe("STUCK");
  expect(saga.owed()).toMatchObject({ token: "forward:mail:26", params: { chargeId: "C1" } });
  saga.ok();
  expect(saga.instance()).toMatchObject({ state: "COMPLETED", wakeInMs: null });
});

test("after the pivot an unanswered request is published again until it is answered", () => {
  const saga = atTicket();
  const issued = () => saga.published().filter(({ type }) => type === "ISSUE_TICKET").length;
  for (let tries = 1; tries <= 24; tries += 1) saga.timer();
  expect(issued()).toBe(25);
  expect(saga.instance()).toMatchObject({ state: "RUNNING", step: "ticket", attempt: 25, wakeInMs: 2_000 });
  saga.timer();
  expect(saga.instance()).toMatchObject({ state: "STUCK", published: 27, wakeInMs: 300_000 });
  saga.event("TICKET_ISSUED");
  expect(saga.instance()).toMatchObject({ state: "RUNNING", step: "mail" });
});

test("a compensation is as patient as a step after the pivot, then stuck, and goes on when it is answered", () => {
  const saga = atCharge();
  saga.refuse("CARD_DECLINED");
  saga.event("SEAT_FREED");
  // Its step gave up after three tries; undoing it must not.
  for (let tries = 1; tries < 25; tries += 1) saga.refuse("HOTEL_CLOSED");
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "book", attempt: 25 });
  saga.refuse("HOTEL_CLOSED");
  expect(saga.instance()).toMatchObject({ state: "STUCK", step: "book", wakeInMs: 300_000 });
  expect(saga.instance().progress.failure).toMatchObject({ code: "CARD_DECLINED", step: "charge" });
  saga.ok();
  expect(saga.state()).toBe("COMPENSATED");
});

test("a stuck compensation that is answered hands over to the next one", () => {
  const saga = atCharge();
  saga.refuse("CARD_DECLINED");
  for (let tries = 1; tries <= 25; tries += 1) saga.timer();
  expect(saga.instance()).toMatchObject({ state: "STUCK", step: "seat" });
  saga.event("SEAT_FREED");
  expect(saga.instance()).toMatchObject({ state: "COMPENSATING", step: "book", attempt: 1 });
});

test("what is owed is what was asked for last, at every step forward and back", () => {
  const saga = begin();
  const check = () => {
    const asked = saga.outcome().effects.filter(({ kind }) => kind === "call");
    expect(saga.protocol.owed(saga.instance())).toEqual(asked);
  };
  check();
  saga.ok({ bookingId: "B7" });
  check();
  saga.event("SEAT_HELD", { seat: "12A" });
  check();
  saga.refuse("CARD_DECLINED");
  check();
  saga.event("SEAT_FREED");
  check();
  saga.ok();
  check();
  expect(saga.state()).toBe("COMPENSATED");
});

test("an ended saga takes nothing any more", () => {
  const saga = atTicket();
  const { token } = saga.calls().at(-1) ?? { token: "" };
  saga.event("TICKET_ISSUED");
  saga.ok();
  expect(saga.timer()).toMatchObject({ changed: false, effects: [] });
  expect(saga.event("TICKET_ISSUED").changed).toBe(false);
  expect(saga.event("SEAT_HELD", { seat: "1A" }).changed).toBe(false);
  expect(saga.give({ kind: "reply", token, reply: { ok: true, result: {} } }).changed).toBe(false);
});
