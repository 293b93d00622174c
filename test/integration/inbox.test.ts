import { type Tx, withTransaction } from "../../lib/database.ts";
import { DatabaseUnavailableError } from "../../lib/errors.ts";
import type { DomainEvent } from "../../lib/events.ts";
import { statement } from "../../lib/statement.ts";
import { type ConsumerOptions, consume } from "../../mixins/inbox-consumer.ts";
import { run, useServer } from "../support/service-database.ts";
import { adjusted, again, effects, envelope, GROUP, messageOf, openConsumer, TOPIC } from "./inbox.world.ts";

/** Consuming on a real PostgreSQL: each event has its effect once. */

const server = useServer();
const setUp = (change?: Partial<ConsumerOptions>) => openConsumer(server, change);

test("effect and inbox row are there together, with where the message stood", async () => {
  const { take, effects: found, inbox, seen } = await setUp();
  const message = adjusted("a");
  await take(message);
  await expect(found()).resolves.toEqual(["a"]);
  await expect(inbox()).resolves.toEqual([
    {
      consumer_group: GROUP,
      event_type: "STOCK_ADJUSTED",
      topic: TOPIC,
      partition: 3,
      offset: message.offset,
      result: "PROCESSED",
    },
  ]);
  expect(seen).toEqual({ fresh: 1, duplicates: 0, letters: 0 });
});

test("an event that comes twice in a batch, and again in later ones, has its effect once", async () => {
  const { take, effects: found, seen } = await setUp();
  const [a, b, c] = [adjusted("a"), adjusted("b"), adjusted("c")];
  await take(a, again(a), b, again(a));
  await take(again(b), c);
  await take(a, b, c);
  await expect(found()).resolves.toEqual(["a", "b", "c"]);
  expect(seen).toEqual({ fresh: 3, duplicates: 4, letters: 0 });
});

test("two consumers of one group at the same time: each event has its effect once", async () => {
  const { consumer, another, effects: found } = await setUp();
  const other = another();
  const messages = Array.from({ length: 60 }, (_, index) => adjusted(`event ${index}`));
  const batches = Array.from({ length: 30 }, (_, index) => {
    const shuffled = [...messages].sort(() => Math.random() - 0.5);
    return consume(index % 2 === 0 ? consumer : other, shuffled.slice(0, 25).map(again));
  });
  await Promise.all(batches);
  const reasons = await found();
  expect(reasons).toHaveLength(new Set(reasons).size);
  // None of them waited for each other in a circle.
  expect(consumer.database.counters.retries + other.database.counters.retries).toBe(0);
});

test("each group has the effect for itself", async () => {
  const { consumer, another, effects: found } = await setUp();
  const message = adjusted("a");
  await consume(consumer, [message]);
  await consume(another("another-group"), [message]);
  await expect(found()).resolves.toEqual(["a", "a"]);
});

test("a passing failure is thrown, and leaves neither effect nor inbox row", async () => {
  let away = true;
  const apply = async (tx: Tx, events: readonly DomainEvent[]) => {
    await effects(tx, events);
    if (away) throw new DatabaseUnavailableError("test");
  };
  const { take, effects: found, inbox, seen } = await setUp({ apply });
  const messages = [adjusted("a"), adjusted("b")];
  await expect(take(...messages)).rejects.toMatchObject({ type: "DATABASE_UNAVAILABLE" });
  await expect(found()).resolves.toEqual([]);
  await expect(inbox()).resolves.toEqual([]);
  away = false;
  await take(...messages);
  await expect(found()).resolves.toEqual(["a", "b"]);
  expect(seen).toEqual({ fresh: 2, duplicates: 0, letters: 0 });
});

test("a lock that is not to be had is a passing failure, not poison", async () => {
  const { url, consumer, effects: found } = await setUp();
  await run(url, "create table hot (id int primary key); insert into hot values (1)");
  const lock = statement("test_inbox_lock", "select id from hot where id = 1 for update");
  const impatient = statement("test_inbox_timeout", "set local lock_timeout = '50ms'");
  const apply = async (tx: Tx, events: readonly DomainEvent[]) => {
    tx.send(impatient);
    await tx.query(lock);
    await effects(tx, events);
  };
  const message = adjusted("a");
  await withTransaction(consumer.database, async (tx) => {
    await tx.query(lock);
    await expect(consume({ ...consumer, apply }, [message])).rejects.toMatchObject({ code: "55P03" });
  });
  await consume({ ...consumer, apply }, [message]);
  await expect(found()).resolves.toEqual(["a"]);
});

test("types that the group does not act on leave no trace, by header or by value", async () => {
  const { take, effects: found, inbox, letters, seen } = await setUp();
  const order = { orderId: "o", customerId: "c", totalMinor: 1, currency: "EUR" };
  const confirmed = envelope("x", { eventType: "ORDER_CONFIRMED", data: order });
  await take(
    messageOf(confirmed, { "event-type": "ORDER_CONFIRMED" }),
    messageOf(confirmed),
    // What is not ours is not even read.
    messageOf("{oops", { "event-type": "OF_A_LATER_RELEASE" }),
  );
  await expect(Promise.all([found(), inbox(), letters()])).resolves.toEqual([[], [], []]);
  expect(seen).toEqual({ fresh: 0, duplicates: 0, letters: 0 });
});
