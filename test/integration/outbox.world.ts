import { randomUUID } from "node:crypto";
import type { Bus, BusMessage, ReceivedMessage } from "../../lib/bus/bus.ts";
import { openBus } from "../../lib/bus/open-bus.ts";
import { loadConfig } from "../../lib/config.ts";
import { type Database, type Tx, withTransaction } from "../../lib/database.ts";
import { TOPICS } from "../../lib/events.ts";
import { statement } from "../../lib/statement.ts";
import { appendEvents, type PendingEvent } from "../../mixins/outbox.store.ts";
import { createRelay, type Relay, type RelayOptions } from "../../mixins/outbox-relay.ts";
import { run, type TestServer } from "../support/service-database.ts";

const TOPIC = { name: "test.events", partitions: 3, retentionMs: 3_600_000 };

const NEXT_VERSION = statement(
  "test_next_version",
  `insert into counters as c (id, version) values ($1, 1)
   on conflict (id) do update set version = c.version + 1 returning version`,
);

/** An event of an aggregate whose row it locks first; answers its version. */
export async function append(tx: Tx, aggregateId: string, text = "", topic = TOPIC.name): Promise<number> {
  const [row] = await tx.query<{ version: number }>(NEXT_VERSION, [aggregateId]);
  const aggregateVersion = row?.version ?? 0;
  appendEvents(tx, [
    {
      type: "TESTED",
      topic,
      aggregateType: "test",
      aggregateId,
      aggregateVersion,
      version: 1,
      correlationId: "correlation",
      data: { text },
    },
  ]);
  return aggregateVersion;
}

/** Many events of new aggregates, one each, in one transaction. */
export function appendOthers(database: Database, count: number): Promise<void> {
  return withTransaction(database, async (tx) => {
    const events = Array.from({ length: count }, () => ({
      type: "TESTED",
      topic: TOPIC.name,
      aggregateType: "test",
      aggregateId: randomUUID(),
      aggregateVersion: 1,
      version: 1,
      correlationId: "correlation",
      data: { text: "other" },
    }));
    appendEvents(tx, events);
  });
}

export interface Received {
  readonly aggregateId: string;
  readonly aggregateVersion: number;
  readonly data: { readonly text: string };
}

export interface OutboxWorld {
  readonly url: string;
  readonly database: Database;
  readonly bus: Bus;
  /** What is on the bus, in the order of each partition. */
  readonly received: ReceivedMessage[];
  readonly letters: ReceivedMessage[];
  /** Versions of an aggregate as they stand on the bus, repetitions and all. */
  versions(aggregateId: string): number[];
  /** The same without repetitions: where each version stands first. */
  firsts(aggregateId: string): number[];
  /** A relay with a pool of its own, as another process would have it; stopped with the world unless it hangs. */
  relay(
    options?: Partial<RelayOptions> & { hangs?: boolean },
  ): Relay & { readonly failed: PendingEvent[]; readonly errors: unknown[] };
  deliveries(): Promise<
    { position: number; status: string; retry_count: number; error_message: string | null }[]
  >;
  close(): Promise<void>;
}

export async function openWorld(server: TestServer): Promise<OutboxWorld> {
  const [own, log] = await Promise.all([server.fresh("customer"), server.fresh("bus")]);
  await run(own.url, "create table counters (id uuid primary key, version int not null)");
  const database = own.open({ connectionsMax: 20 });
  const bus = openBus(loadConfig({ BUS_DATABASE_URL: log.url }));
  await bus.ensureTopics([TOPIC, TOPICS.deadLetters]);
  const received: ReceivedMessage[] = [];
  const letters: ReceivedMessage[] = [];
  const collect = (topic: string, into: ReceivedMessage[]) =>
    bus.subscribe({
      group: `collect ${topic}`,
      topics: [topic],
      batchSizeMax: 1_000,
      handler: async (messages) => {
        into.push(...messages);
      },
    });
  await collect(TOPIC.name, received);
  await collect(TOPICS.deadLetters.name, letters);
  const relays: Relay[] = [];
  const versions = (aggregateId: string) =>
    received.filter(({ key }) => key === aggregateId).map((message) => eventOf(message).aggregateVersion);
  return {
    url: own.url,
    database,
    bus,
    received,
    letters,
    versions,
    firsts: (aggregateId) => [...new Set(versions(aggregateId))],
    relay({ hangs = false, ...options } = {}) {
      const failed: PendingEvent[] = [];
      const errors: unknown[] = [];
      const relay = createRelay({
        service: "customer",
        database: own.open({ connectionsMax: 2 }),
        bus,
        owner: randomUUID(),
        pollMs: 50,
        batchSize: 1_000,
        leaseMs: 900,
        onPublished: () => undefined,
        onFailed: (event) => failed.push(event),
        onTopicMissing: () => undefined,
        onError: (error) => errors.push(error),
        ...options,
      });
      if (!hangs) relays.push(relay);
      relay.start();
      return Object.assign(relay, { failed, errors });
    },
    deliveries: () =>
      run(
        own.url,
        "select position::int, status, retry_count, error_message from outbox_delivery order by position",
      ),
    async close() {
      await Promise.all(relays.map((relay) => relay.stop()));
      await bus.close();
    },
  };
}

export function eventOf({ value }: BusMessage): Received {
  return JSON.parse(value);
}

/** The bus with something in front of its publish. */
export function faulty(
  bus: Bus,
  publish: (messages: readonly BusMessage[], real: Bus["publish"]) => Promise<void>,
): Bus {
  return { ...bus, publish: (messages) => publish(messages, bus.publish) };
}
