import type { PendingEvent } from "../../mixins/outbox.store.ts";
import { createHandover } from "../../mixins/outbox-handover.ts";

let position = 0;
const event = (aggregateId: string, aggregateVersion: number): PendingEvent => ({
  position: ++position,
  aggregateId,
  aggregateVersion,
  retryCount: 0,
  type: "TESTED",
  createdAtMs: 0,
  message: { topic: "test", key: aggregateId, value: "{}", headers: {} },
});
const namesOf = (events: readonly PendingEvent[]) =>
  events.map(({ aggregateId, aggregateVersion }) => `${aggregateId}${aggregateVersion}`);

/** After its first look at the tables. */
function ready(eventsMax = 100) {
  const handover = createHandover(eventsMax);
  expect(handover.take()).toEqual({ ready: [], read: true });
  return handover;
}

describe("events that are handed over", () => {
  test("go at once, in their order, where nothing of their aggregate comes first", () => {
    const handover = ready();
    handover.add([event("a", 1), event("b", 1), event("a", 2)]);
    const { ready: events, read } = handover.take();
    expect(namesOf(events)).toEqual(["a1", "b1", "a2"]);
    expect(read).toBe(false);
    handover.notePublished(events);
    handover.add([event("a", 3)]);
    expect(namesOf(handover.take().ready)).toEqual(["a3"]);
  });

  test("wait for a read where their predecessor was published by another, or not at all", () => {
    const handover = ready();
    handover.add([event("a", 2), event("b", 1), event("a", 3)]);
    const { ready: events, read } = handover.take();
    expect(namesOf(events)).toEqual(["b1"]);
    expect(read).toBe(true);
  });

  test("are not published once more when a read was faster", () => {
    const handover = ready();
    handover.add([event("a", 1), event("a", 2)]);
    handover.notePublished([event("a", 1)]);
    expect(namesOf(handover.take().ready)).toEqual(["a2"]);
  });

  test("are left to a read as long as there is doubt, and so are the next ones after a failure", () => {
    const handover = ready();
    handover.add([event("a", 1)]);
    handover.doubt();
    expect(handover.take()).toEqual({ ready: [], read: true });
    handover.add([event("a", 2)]);
    expect(handover.take()).toEqual({ ready: [], read: true });
  });

  test("are given up to the tables when there are too many, and when nothing that was known holds", () => {
    const handover = ready(2);
    handover.add([event("a", 1), event("b", 1), event("c", 1)]);
    expect(handover.take()).toEqual({ ready: [], read: true });
    handover.notePublished([event("a", 1)]);
    handover.add([event("a", 2)]);
    handover.forget();
    expect(handover.take()).toEqual({ ready: [], read: true });
    handover.add([event("a", 3)]);
    expect(handover.take()).toEqual({ ready: [], read: true });
  });
});
