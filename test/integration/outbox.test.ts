import { randomUUID } from "node:crypto";
import { type BusMessage, BusUnavailableError, MessageRefusedError } from "../../lib/bus/bus.ts";
import { withTransaction } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import { markPublished, pendingCount } from "../../mixins/outbox.store.ts";
import { run, useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { append, appendOthers, eventOf, faulty, type OutboxWorld, openWorld } from "./outbox.world.ts";

/** The outbox on a real PostgreSQL, with the PostgreSQL bus behind its relays. */

const server = useServer();
const SLEEP = statement("test_outbox_sleep", "select pg_sleep($1)");
const one = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

let world: OutboxWorld;
beforeEach(async () => {
  world = await openWorld(server);
});
afterEach(() => world.close());

const appendOne = (aggregateId: string, text = "") =>
  withTransaction(world.database, (tx) => append(tx, aggregateId, text));
const drained = () => until("all published", async () => (await pendingCount(world.database)) === 0);

test("an event is told as it was written, with its id, type and trace in the headers", async () => {
  const id = randomUUID();
  await appendOne(id, "x");
  world.relay();
  const message = await until("the message", () => world.received[0]);
  const event: unknown = JSON.parse(message.value);
  expect(message).toMatchObject({ topic: "test.events", key: id });
  expect(event).toMatchObject({
    eventType: "TESTED",
    aggregateId: id,
    aggregateType: "test",
    aggregateVersion: 1,
    version: 1,
    correlationId: "correlation",
    data: { text: "x" },
  });
  expect(message.headers).toEqual({
    "event-id": expect.stringMatching(/^[0-9a-f-]{36}$/),
    "event-type": "TESTED",
    "correlation-id": "correlation",
    timestamp: expect.any(String),
  });
  expect(event).toMatchObject({ eventId: message.headers["event-id"] });
});

test("what was rolled back is never told, and a version is told once", async () => {
  const id = randomUUID();
  const failing = withTransaction(world.database, async (tx) => {
    await append(tx, id, "rolled back");
    throw new RangeError("no");
  });
  await expect(failing).rejects.toMatchObject({ message: "no" });
  await appendOne(id, "committed");
  const twice = withTransaction(world.database, async (tx) => {
    await append(tx, id);
    tx.send(statement("test_version_back", "update counters set version = 0 where id = $1"), [id]);
    await append(tx, id);
  });
  await expect(twice).rejects.toMatchObject({ code: "23505" });
  world.relay();
  await drained();
  await until("the event", () => world.received.length === 1);
  expect(world.received.map((message) => eventOf(message).data.text)).toEqual(["committed"]);
});

test("three relays that come and go, sixteen writers with delays: each version once or more, in order, none lost", async () => {
  const ids = Array.from({ length: 12 }, () => randomUUID());
  const first = world.relay();
  world.relay();
  const write = async () => {
    for (let events = 0; events < 25; events += 1) {
      const id = ids[Math.floor(Math.random() * ids.length)] ?? "";
      await withTransaction(world.database, async (tx) => {
        await append(tx, id);
        if (Math.random() < 0.5) await tx.query(SLEEP, [Math.random() * 0.015]);
      });
    }
  };
  const writing = Promise.all(Array.from({ length: 16 }, write));
  await until("half of it", () => world.received.length > 100);
  world.relay();
  await first.stop();
  await writing;
  await drained();
  const versions = await run<{ id: string; version: number }>(world.url, "select id, version from counters");
  const total = versions.reduce((sum, { version }) => sum + version, 0);
  expect(total).toBe(400);
  await until("all received", () => versions.every(({ id, version }) => world.firsts(id).length === version));
  for (const { id, version } of versions) expect(world.firsts(id)).toEqual(one(version));
});

test("an event whose transaction commits after a thousand later ones is told, and before its successor", async () => {
  const ids = Array.from({ length: 16 }, () => randomUUID());
  const relay = world.relay();
  const late = Promise.withResolvers<void>();
  const slow = withTransaction(world.database, async (tx) => {
    for (const id of ids) await append(tx, id, "late");
    await late.promise;
  });
  for (let batches = 0; batches < 3; batches += 1) await appendOthers(world.database, 500);
  await until("the others", () => world.received.length === 1_500);
  await drained();
  // The relay's mark is past the late positions now.
  late.resolve();
  await slow;
  await withTransaction(world.database, async (tx) => {
    for (const id of ids) await append(tx, id, "successor");
  });
  relay.wake();
  await until("all of them", () => world.received.length === 1_500 + 2 * ids.length);
  for (const id of ids) expect(world.versions(id)).toEqual([1, 2]);
});

test("a broker that is away costs no retry, and nothing", async () => {
  const id = randomUUID();
  let away = true;
  const relay = world.relay({
    bus: faulty(world.bus, async (messages, real) => {
      if (away) throw new BusUnavailableError("away");
      await real(messages);
    }),
  });
  for (let events = 0; events < 3; events += 1) await appendOne(id);
  await until("two failures", () => relay.errors.length >= 2);
  for (const delivery of await world.deliveries())
    expect(delivery).toMatchObject({ status: "PENDING", retry_count: 0, error_message: null });
  away = false;
  await drained();
  await until("all received", () => world.versions(id).length === 3);
  expect(world.versions(id)).toEqual([1, 2, 3]);
  expect(relay.failed).toEqual([]);
});

test("a relay that dies after publishing and before marking: told again, in order, nothing lost", async () => {
  const id = randomUUID();
  for (let events = 0; events < 5; events += 1) await appendOne(id);
  let published = 0;
  world.relay({
    bus: faulty(world.bus, async (messages, real) => {
      await real(messages);
      published += 1;
      if (published === 1) throw new Error("killed");
    }),
  });
  await drained();
  await until("both times", () => world.versions(id).length === 10);
  expect(world.versions(id)).toEqual([...one(5), ...one(5)]);
});

test("a relay that hangs in its publish loses its buckets when their lease ends, and another goes on", async () => {
  const ids = Array.from({ length: 5 }, () => randomUUID());
  for (const id of ids) await appendOne(id);
  let hung = false;
  world.relay({
    hangs: true,
    bus: faulty(world.bus, () => {
      hung = true;
      return new Promise(() => undefined);
    }),
  });
  await until("it hangs", () => hung);
  world.relay();
  await until("taken over", () => ids.every((id) => world.versions(id).length === 1));
  await drained();
});

const poisonous = (messages: readonly BusMessage[]) =>
  messages.findIndex((message) => eventOf(message).data.text === "poison");

test("an event that the broker refuses is tried five times, then a dead letter; its aggregate waits, others go on", async () => {
  const [bad, good] = [randomUUID(), randomUUID()];
  let tries = 0;
  const relay = world.relay({
    bus: faulty(world.bus, async (messages, real) => {
      const index = poisonous(messages);
      if (index < 0) return real(messages);
      tries += 1;
      throw new MessageRefusedError("too large", index);
    }),
  });
  await appendOne(good);
  await appendOne(bad, "before");
  await appendOne(bad, "poison");
  await appendOne(bad, "after");
  await appendOne(good);
  await until("the other goes on", () => world.versions(good).length === 2);
  await appendOne(good);
  await until("given up", () => relay.failed.length === 1);
  expect(tries).toBe(5);
  const [letter] = await until("the letter", () => world.letters.length > 0 && world.letters);
  const failed = (await world.deliveries()).filter(({ status }) => status === "FAILED");
  expect(failed).toMatchObject([{ retry_count: 5, error_message: "too large" }]);
  expect(JSON.parse(letter?.value ?? "")).toMatchObject({
    eventType: "DEAD_LETTER",
    correlationId: "correlation",
    data: {
      source: "outbox",
      topic: "test.events",
      position: failed[0]?.position,
      error: "too large",
      attempts: 5,
    },
  });
  await until("the other is told", () => world.firsts(good).length === 3);
  expect(world.firsts(good)).toEqual([1, 2, 3]);
  expect(world.versions(bad)).toEqual([1]);
  await expect(pendingCount(world.database)).resolves.toBe(1);
});

test("once a refused event is taken after all, its aggregate goes on in order", async () => {
  const id = randomUUID();
  let refusals = 0;
  world.relay({
    bus: faulty(world.bus, async (messages, real) => {
      const index = poisonous(messages);
      if (index >= 0 && refusals < 2) {
        refusals += 1;
        throw new MessageRefusedError("not now", index);
      }
      await real(messages);
      // A third version comes in the very moment in which the first is let through.
      if (index >= 0) await appendOne(id, "third");
    }),
  });
  await appendOne(id, "poison");
  await appendOne(id, "second");
  // The relay's mark goes past both.
  for (let batches = 0; batches < 3; batches += 1) await appendOthers(world.database, 500);
  await until("all of it", () => world.firsts(id).length === 3);
  expect(world.versions(id)).toEqual([1, 2, 3]);
  expect(refusals).toBe(2);
  await drained();
  await expect(run(world.url, "select * from outbox_blocked")).resolves.toEqual([]);
});

test("marking an event published lets its aggregate go on in the same statement", async () => {
  const id = randomUUID();
  await appendOne(id);
  const [first] = await world.deliveries();
  await run(world.url, "insert into outbox_blocked (aggregate_id, position) values ($1, $2)", [
    id,
    first?.position,
  ]);
  const before = world.database.counters.statements;
  await markPublished(world.database, [first?.position ?? 0]);
  expect(world.database.counters.statements).toBe(before + 1);
  await expect(run(world.url, "select * from outbox_blocked")).resolves.toEqual([]);
  await expect(world.deliveries()).resolves.toMatchObject([{ status: "PUBLISHED" }]);
});

test("a backlog of twenty thousand events drains", async () => {
  const id = randomUUID();
  for (let batches = 0; batches < 10; batches += 1) {
    await appendOne(id);
    await appendOthers(world.database, 1_999);
  }
  world.relay();
  world.relay();
  await until("all received", () => world.received.length >= 20_000, { timeoutMs: 40_000 });
  await drained();
  expect(world.firsts(id)).toEqual(one(10));
});
