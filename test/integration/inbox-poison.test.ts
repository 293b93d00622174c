import type { ReceivedMessage } from "../../lib/bus/bus.ts";
import type { Tx } from "../../lib/database.ts";
import type { DomainEvent } from "../../lib/events.ts";
import type { ConsumerOptions } from "../../mixins/inbox-consumer.ts";
import { run, useServer } from "../support/service-database.ts";
import {
  adjusted,
  effects,
  envelope,
  failingOn,
  GROUP,
  messageOf,
  openConsumer,
  TOPIC,
} from "./inbox.world.ts";

/** A message that cannot be processed harms nobody else, and is not lost. */

const server = useServer();
const setUp = (change?: Partial<ConsumerOptions>) => openConsumer(server, change);

test("an event whose effect always fails is put aside after its tries, and the rest goes on in order", async () => {
  const tried: number[] = [];
  const bad = failingOn("bad", () => new RangeError("it cannot be"));
  const apply = (tx: Tx, events: readonly DomainEvent[]) => {
    tried.push(events.length);
    return bad(tx, events);
  };
  const { take, effects: found, inbox, letters, seen } = await setUp({ apply });
  const before = adjusted("a");
  const poison = messageOf(envelope("bad"), { "event-type": "STOCK_ADJUSTED", "correlation-id": "trace" });
  await take(before, poison, adjusted("b"), adjusted("c"));
  await expect(found()).resolves.toEqual(["a", "b", "c"]);
  // All together, then one by one, the bad one twice.
  expect(tried).toEqual([4, 1, 1, 1, 1, 1]);
  expect((await inbox()).map(({ result }) => result)).toEqual([
    "PROCESSED",
    "DEAD_LETTERED",
    "PROCESSED",
    "PROCESSED",
  ]);
  await expect(letters()).resolves.toMatchObject([
    {
      correlationId: "trace",
      data: {
        source: GROUP,
        topic: TOPIC,
        partition: 3,
        offset: poison.offset,
        key: "key",
        value: poison.value,
        headers: poison.headers,
        error: { type: "INTERNAL_ERROR", message: "it cannot be" },
        attempts: 2,
      },
    },
  ]);
  expect(seen).toMatchObject({ fresh: 3, letters: 1 });
});

test("an event that fails once and then not is no poison", async () => {
  let failures = 0;
  const bad = failingOn("moody", () => new RangeError("not now"));
  const apply = (tx: Tx, events: readonly DomainEvent[]) => {
    failures += 1;
    return failures <= 2 ? bad(tx, events) : effects(tx, events);
  };
  const { take, effects: found, letters } = await setUp({ apply });
  await take(adjusted("moody"));
  await expect(found()).resolves.toEqual(["moody"]);
  await expect(letters()).resolves.toEqual([]);
});

const poisons: readonly (readonly [string, () => ReceivedMessage])[] = [
  ["is not JSON", () => messageOf("{oops")],
  ["is no envelope", () => messageOf("[]", { "event-type": "STOCK_ADJUSTED" })],
  ["is of a type that nobody knows", () => adjusted("x", { eventType: "STOCK_STOLEN" })],
  [
    "breaks its schema",
    () => adjusted("x", { data: { productId: "p", delta: "1", available: 1, reason: "x" } }),
  ],
  ["has an id that is none", () => adjusted("x", { eventId: "-".repeat(36) })],
  ["has an id of odd dashes", () => adjusted("x", { eventId: `${"0".repeat(32)}----` })],
];

test.each(poisons)("a message that %s is put aside with what one needs to find it", async (_name, make) => {
  const { take, effects: found, inbox, letters, seen } = await setUp();
  const before = adjusted("a");
  const poison = make();
  await take(before, poison, adjusted("b"));
  await expect(found()).resolves.toEqual(["a", "b"]);
  await expect(letters()).resolves.toMatchObject([
    {
      data: {
        source: GROUP,
        topic: TOPIC,
        partition: 3,
        offset: poison.offset,
        value: poison.value,
        error: { type: "EVENT_INVALID", message: expect.any(String) },
        attempts: 1,
      },
    },
  ]);
  expect((await inbox()).map(({ result }) => result)).toEqual(["PROCESSED", "DEAD_LETTERED", "PROCESSED"]);
  // It comes again: it is put aside once.
  await take(poison);
  await expect(letters()).resolves.toHaveLength(1);
  expect(seen.fresh).toBe(2);
});

test("a message with characters that PostgreSQL cannot read out of JSON leaves a letter that it can", async () => {
  const { take, letters, url } = await setUp();
  const headers = { "event-type": "STOCK_ADJUSTED", "correlation-id": "tr\0ace", note: "\ud83d" };
  await take({ ...messageOf("{\0", headers), key: "k\0" });
  const [letter] = await run<{ key: string; value: string; note: string; correlation: string }>(
    url,
    `select payload->'data'->>'key' as key, payload->'data'->>'value' as value,
       payload->'data'->'headers'->>'note' as note, payload->>'correlationId' as correlation
     from outbox_events where event_type = 'DEAD_LETTER'`,
  );
  expect(letter).toEqual({ key: "k\ufffd", value: "{\ufffd", note: "\ufffd", correlation: "tr\ufffdace" });
  await expect(letters()).resolves.toHaveLength(1);
});
