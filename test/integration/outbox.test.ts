import { randomUUID } from "node:crypto";
import { BusUnavailableError } from "../../lib/bus/bus.ts";
import { withTransaction } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import { backlogOf } from "../../mixins/outbox-backlog.store.ts";
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
const drained = () => until("all published", async () => (await backlogOf(world.database)).events === 0);

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
  const alone = randomUUID();
  const relay = world.relay();
  const late = Promise.withResolvers<void>();
  const slow = withTransaction(world.database, async (tx) => {
    for (const id of [...ids, alone]) await append(tx, id, "late");
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
  await until("all of them", () => ids.every((id) => world.versions(id).length === 2));
  for (const id of ids) expect(world.versions(id)).toEqual([1, 2]);
  // One that has no successor to bring it to light is told as well.
  await until("the lone one", () => world.versions(alone).length === 1);
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
