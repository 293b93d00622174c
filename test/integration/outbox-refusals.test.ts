import { randomUUID } from "node:crypto";
import { ServiceBroker } from "moleculer";
import { closeBus } from "../../lib/bus/broker-bus.ts";
import { type BusMessage, MessageRefusedError } from "../../lib/bus/bus.ts";
import { type Tx, withTransaction } from "../../lib/database.ts";
import { defineService } from "../../lib/define.ts";
import { readinessOf } from "../../lib/readiness.ts";
import { database } from "../../mixins/database.mixin.ts";
import { outbox } from "../../mixins/outbox.mixin.ts";
import {
  markPublished,
  markRefused,
  pendingEvents,
  postpone,
  releaseRefused,
} from "../../mixins/outbox.store.ts";
import { backlogOf } from "../../mixins/outbox-backlog.store.ts";
import { run, useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { append, appendOthers, eventOf, faulty, type OutboxWorld, openWorld } from "./outbox.world.ts";

/** Events that the broker takes the connection for and then refuses. */

const server = useServer();

let world: OutboxWorld;
beforeEach(async () => {
  world = await openWorld(server);
});
afterEach(() => world.close());

const appendOne = (aggregateId: string, text = "") =>
  withTransaction(world.database, (tx) => append(tx, aggregateId, text));
const drained = () => until("all published", async () => (await backlogOf(world.database)).events === 0);

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
  // What waits behind it grows old: that is what an alert sees of it.
  await run(world.url, "update outbox_events set created_at = created_at - interval '1 hour'");
  // What is out counts until it is marked, a moment later.
  const { lagSeconds } = await until("it alone waits", async () => {
    const backlog = await backlogOf(world.database);
    return backlog.events === 1 && backlog;
  });
  expect(lagSeconds).toBeGreaterThanOrEqual(3_600);
  expect(lagSeconds).toBeLessThan(3_900);
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

test("a refused event that is released is published once the broker takes it; a letter tells of each time it is given up", async () => {
  const id = randomUUID();
  let isMended = false;
  const relay = world.relay({
    bus: faulty(world.bus, async (messages, real) => {
      const index = isMended ? -1 : poisonous(messages);
      if (index >= 0) throw new MessageRefusedError("too large", index);
      return real(messages);
    }),
  });
  await appendOne(id, "poison");
  await appendOne(id, "after");
  await until("given up", () => relay.failed.length === 1);
  const position = relay.failed[0]?.position ?? 0;
  const release = () => withTransaction(world.database, (tx) => releaseRefused(tx, position));
  await expect(release()).resolves.toBe(true);
  await until("given up again", () => relay.failed.length === 2);
  const letters = await until("both letters", () => world.letters.length === 2 && world.letters);
  expect(letters.map((letter) => eventOf(letter).aggregateVersion)).toEqual([1, 2]);
  isMended = true;
  await expect(release()).resolves.toBe(true);
  await until("all of it", () => world.firsts(id).length === 2);
  expect(world.firsts(id)).toEqual([1, 2]);
  // What is published is left alone; what is not there is told as that.
  await expect(release()).resolves.toBe(true);
  await expect(withTransaction(world.database, (tx) => releaseRefused(tx, 1_000_000))).resolves.toBe(false);
  await drained();
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

test("who hears of a refusal after another relay has published the event blocks nobody", async () => {
  const id = randomUUID();
  await appendOne(id);
  await appendOne(id);
  const buckets = Array.from({ length: 16 }, (_, bucket) => bucket);
  const pending = () => pendingEvents(world.database, 0, buckets, 10);
  const [first, second] = await pending();
  if (!first || !second) throw new Error("nothing is pending");
  const refuse = (tx: Tx) => markRefused(tx, first, "refused", 5, 60_000);
  const waiting = async () => (await pending()).map(({ position }) => position);
  // At once: the mark waits for the refusal, and does not see what it blocks.
  let marking: Promise<void> | undefined;
  await withTransaction(world.database, async (tx) => {
    await refuse(tx);
    marking = markPublished(world.database, [first.position]);
    await until("the mark waits", async () => {
      const locks = await run(
        world.url,
        "select from pg_locks where locktype = 'transactionid' and not granted",
      );
      return locks.length > 0;
    });
  });
  await marking;
  await expect(waiting()).resolves.toEqual([second.position]);
  // Afterwards, and by a missing topic.
  await withTransaction(world.database, refuse);
  await withTransaction(world.database, async (tx) => postpone(tx, [first], "no topic", 60_000));
  await expect(waiting()).resolves.toEqual([second.position]);
  // What is left of it stands in no later refusal's way.
  await withTransaction(world.database, (tx) => markRefused(tx, second, "refused", 5, 0));
  await appendOne(id);
  await expect(waiting()).resolves.toEqual([second.position]);
  await withTransaction(world.database, refuse);
  await expect(waiting()).resolves.toEqual([second.position]);
});

test("a topic that does not exist is an outage of that topic: its events wait, in order and without a retry, others go on", async () => {
  const [waits, goes] = [randomUUID(), randomUUID()];
  const topic = `test.${randomUUID()}`;
  const told: (readonly string[])[] = [];
  const relay = world.relay({ onTopicMissing: (topics) => told.push(topics) });
  const arrived: number[] = [];
  const appendTo = (id: string, where?: string) =>
    withTransaction(world.database, (tx) => append(tx, id, "", where));
  for (let round = 0; round < 3; round += 1) {
    await appendTo(waits, topic);
    await appendTo(goes);
  }
  await until("the others", () => world.firsts(goes).length === 3);
  await until("noticed", () => relay.missingTopics().length > 0);
  expect(relay.missingTopics()).toEqual([topic]);
  expect(told[0]).toEqual([topic]);
  const waiting = await until("no others wait", async () => {
    const open = (await world.deliveries()).filter(({ status }) => status === "PENDING");
    return open.length === 3 && open;
  });
  expect(waiting.map(({ retry_count }) => retry_count)).toEqual([0, 0, 0]);
  expect(waiting[0]).toMatchObject({ error_message: `there is no topic ${topic}` });
  expect(relay.errors).toEqual([]);
  await world.bus.ensureTopics([{ name: topic, partitions: 1, retentionMs: 3_600_000 }]);
  await world.bus.subscribe({
    group: "late",
    topics: [topic],
    batchSizeMax: 100,
    handler: async (messages) => {
      arrived.push(...messages.map((message) => eventOf(message).aggregateVersion));
    },
  });
  // One more, in the moment in which the topic is there and its predecessors still wait for their next try.
  await appendTo(waits, topic);
  await until("all of it", () => arrived.length >= 4, { timeoutMs: 40_000 });
  expect([...new Set(arrived)]).toEqual([1, 2, 3, 4]);
  await drained();
  expect(relay.missingTopics()).toEqual([]);
  expect(relay.failed).toEqual([]);
  await expect(run(world.url, "select * from outbox_blocked")).resolves.toEqual([]);
});

test("a service whose topic does not exist is not ready, and says which it is", async () => {
  // Nobody has created any topic on this bus.
  process.env.CUSTOMER_DATABASE_URL = world.url;
  process.env.BUS_DATABASE_URL = (await server.fresh("bus")).url;
  const broker = new ServiceBroker({ logger: false, middlewares: [closeBus] });
  const id = randomUUID();
  const teller = defineService()({
    name: "teller",
    mixins: [outbox("teller"), database("customer")],
    async started() {
      const data = { orderId: id, customerId: id };
      const event = {
        type: "ORDER_COMPLETED",
        aggregateId: id,
        aggregateVersion: 1,
        correlationId: "c",
        data,
      } as const;
      await this.transaction(async (tx) => this.enqueueEvents(tx, [event]));
    },
  });
  broker.createService(teller);
  await broker.start();
  try {
    const { checks } = await until("not ready", async () => {
      const report = await readinessOf(broker).report();
      return !report.ready && report;
    });
    expect(checks["outbox:teller"]).toEqual({ ok: false, error: "there is no topic oms.orders.events" });
  } finally {
    await broker.stop();
  }
});
