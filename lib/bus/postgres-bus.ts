import { createBatcher } from "../batcher.ts";
import { type Database, openDatabase } from "../database.ts";
import { isSerializationFailure } from "../database-errors.ts";
import { factsOf } from "../errors.ts";
import {
  type Bus,
  type BusMessage,
  BusUnavailableError,
  type ReceivedMessage,
  type SubscribeOptions,
} from "./bus.ts";
import { type BusLogger, silentLogger } from "./bus-logger.ts";
import { checkMessages } from "./check-messages.ts";
import { offer } from "./near-messages.ts";
import { partitionOf } from "./partitioner.ts";
import {
  appendEntries,
  findLag,
  findTopics,
  insertTopics,
  type LogEntry,
  ping,
} from "./postgres-bus.store.ts";
import { createRetention } from "./postgres-retention.ts";
import { PostgresSubscription } from "./postgres-subscription.ts";
import { createTopicCheck } from "./topic-check.ts";
import { wake } from "./wake-ups.ts";

export interface PostgresBusOptions {
  readonly url: string;
  /** Shown in pg_stat_activity and in bus_members. */
  readonly clientId?: string;
  readonly logger?: BusLogger;
  /** A member that dies loses its partitions after this time and at most one beat (a quarter of it) more. */
  readonly leaseMs?: number;
  /** What other processes publish is found by polling, faster after a hit than in a long silence. */
  readonly pollMinMs?: number;
  readonly pollMaxMs?: number;
}

/** One statement carries at most this much; more is split, still in order. */
const ENTRIES_MAX = 2_000;
const CHARACTERS_MAX = 4_000_000;

/**
 * The event log in PostgreSQL, for one machine.
 *
 * No LISTEN/NOTIFY: a commit with a NOTIFY takes a lock of the whole database, so that publishers would flush
 * one after the other. In one process a wake-up needs no server, and brings the messages along. Across processes polling finds the news, every
 * 20 ms while there are some, and then ever less often: a poll costs 0.1 ms.
 */
export function createPostgresBus(options: PostgresBusOptions): Bus {
  const { url, clientId = "holdfast", logger = silentLogger } = options;
  const publisher = openDatabase({ url, name: `${clientId} bus`, place: "bus", connectionsMax: 2 });
  // A position or a lease that a crash of PostgreSQL forgets means a redelivery, which consumers survive anyway:
  // their commits need not wait for the disk.
  const consumer = openDatabase({
    url,
    name: `${clientId} bus consumer`,
    place: "bus consumer",
    connectionsMax: 6,
    settings: { synchronous_commit: "off" },
  });
  const place = placeOf(url);
  const topics = createTopicCheck(async () => {
    const found = await findTopics(publisher);
    return new Map(found.map((topic) => [topic.name, topic.partitions]));
  });
  const retention = createRetention(consumer, (error) => logger.warn("Bus retention failed", { error }));
  const subscriptions = new Set<PostgresSubscription>();
  // One batch at a time: all publishers meet at the same few partition rows, and so calls keep their order.
  const append = createBatcher<readonly LogEntry[], void>({
    name: "bus-publish",
    concurrency: 1,
    run: async (calls) => {
      for (const entries of chunksOf(calls.flat())) offer(place, await appendOnce(publisher, entries));
      return calls.map(() => undefined);
    },
  });

  const publish = async (messages: readonly BusMessage[]) => {
    checkMessages(messages);
    const counts = await topics.check(messages);
    const entries = messages.map((message) => ({
      message,
      partition: partitionOf(message.key, counts.get(message.topic) ?? 1),
    }));
    if (entries.length === 0) return;
    await append(entries);
    wake(place, messages);
  };

  const subscribe = async (request: SubscribeOptions) => {
    const subscription = new PostgresSubscription({
      retryDelayMs: 100,
      retryDelayMaxMs: 5_000,
      ...request,
      database: consumer,
      place,
      process: clientId,
      leaseMs: options.leaseMs ?? 4_000,
      pollMinMs: options.pollMinMs ?? 20,
      pollMaxMs: options.pollMaxMs ?? 250,
      logger,
    });
    subscriptions.add(subscription);
    retention.start();
    return subscription;
  };

  return {
    kind: "postgres",
    publish: (messages) => reaching(() => publish(messages)),
    subscribe,
    lag: (group, topics) => reaching(() => findLag(publisher, group, topics)),
    ensureTopics: (topics) => reaching(() => insertTopics(publisher, topics)),
    describeTopics: (names) => reaching(() => findTopics(publisher, names)),
    ping: () => reaching(async () => void (await publisher.query(ping))),
    async close() {
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()));
      await retention.stop();
      await Promise.all([publisher.close(), consumer.close()]);
    },
  };
}

/** Wake-ups reach those who read the same database, under whatever user or options they connect. */
function placeOf(url: string): string {
  const { host, pathname } = new URL(url);
  return host + pathname;
}

function* chunksOf(entries: readonly LogEntry[]): Generator<readonly LogEntry[]> {
  let chunk: LogEntry[] = [];
  let characters = 0;
  for (const entry of entries) {
    chunk.push(entry);
    characters += entry.message.value.length;
    if (chunk.length < ENTRIES_MAX && characters < CHARACTERS_MAX) continue;
    yield chunk;
    chunk = [];
    characters = 0;
  }
  if (chunk.length > 0) yield chunk;
}

/** A deadlock cannot happen while all lock in one order, but a retention job of an operator may not know it. */
async function appendOnce(database: Database, entries: readonly LogEntry[]): Promise<ReceivedMessage[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await appendEntries(database, entries);
    } catch (error) {
      if (attempt === 5 || !isSerializationFailure(error)) throw error;
    }
  }
}

// 57014: statement_timeout, 55P03: lock_timeout. The server is there but did not answer in time.
const LATE = new Set(["57014", "55P03"]);

async function reaching<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BusUnavailableError) throw error;
    const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
    if (factsOf(error).status === 503 || LATE.has(code)) {
      throw new BusUnavailableError("The bus's database did not answer.", { cause: error });
    }
    throw error;
  }
}
