import { randomUUID } from "node:crypto";
import kafkajs, { type Admin, type Consumer, type EachBatchPayload, type KafkaMessage } from "kafkajs";
import { sleep } from "../parts/process.ts";
import {
  type BusLog,
  BusUnreadableError,
  committedKey,
  DEAD_LETTER_TOPIC,
  eventIdIn,
  type LoggedMessage,
  TOPIC_NAMES,
  type TopicState,
} from "./bus-log.ts";
import { repairTimers } from "./kafka-timers.ts";

/** Longest silence while there is still something to read. */
const SILENCE_MS_MAX = 20_000;

/** Topics in Kafka, read by a consumer of our own that commits nothing and leaves no group behind. */
export async function openKafkaLog(brokers: string): Promise<BusLog> {
  repairTimers();
  const kafka = new kafkajs.Kafka({
    clientId: "holdfast-audit",
    brokers: brokers.split(",").map((broker) => broker.trim()),
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 5 },
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const admin = kafka.admin();
  await reading(() => admin.connect());
  return {
    kind: "kafka",
    committed: () => reading(() => patiently(() => committedOffsets(admin))),
    topics: () => reading(() => topicStates(admin)),
    read: (visit) =>
      reading(async () => {
        const groupId = `holdfast-audit-${randomUUID()}`;
        const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, sessionTimeout: 30_000 });
        try {
          await readToEnds(consumer, await endsOf(admin), visit);
        } finally {
          await consumer.disconnect();
          await admin.deleteGroups([groupId]).catch(() => undefined);
        }
      }),
    close: () => admin.disconnect(),
  };
}

async function reading<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new BusUnreadableError(error);
  }
}

/** A broker that has just started loads its groups first; kafkajs asks only once. */
const LOADING: ReadonlySet<unknown> = new Set([
  "GROUP_LOAD_IN_PROGRESS",
  "GROUP_COORDINATOR_NOT_AVAILABLE",
  "NOT_COORDINATOR_FOR_GROUP",
]);
const LOADING_MS_MAX = 20_000;

async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + LOADING_MS_MAX;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const isLoading = error instanceof kafkajs.KafkaJSProtocolError && LOADING.has(error.type);
      if (!isLoading || performance.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

async function presentTopics(admin: Admin): Promise<string[]> {
  const present = new Set(await admin.listTopics());
  return TOPIC_NAMES.filter((name) => present.has(name));
}

async function committedOffsets(admin: Admin): Promise<Map<string, number>> {
  const { groups } = await admin.listGroups();
  const topics = await presentTopics(admin);
  const committed = new Map<string, number>();
  for (const { groupId } of groups.filter((group) => group.groupId.endsWith("-service-group"))) {
    for (const { topic, partitions } of await admin.fetchOffsets({ groupId, topics })) {
      for (const { partition, offset } of partitions)
        committed.set(committedKey(groupId, topic, partition), Math.max(0, Number(offset)));
    }
  }
  return committed;
}

async function topicStates(admin: Admin): Promise<TopicState[]> {
  const names = await presentTopics(admin);
  if (names.length === 0) return [];
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({
      type: kafkajs.ConfigResourceTypes.TOPIC,
      name,
      configNames: ["retention.ms"],
    })),
  });
  const retention = new Map(
    resources.map(({ resourceName, configEntries }) => [resourceName, Number(configEntries[0]?.configValue)]),
  );
  return Promise.all(
    names.map(async (name) => {
      const offsets = await admin.fetchTopicOffsets(name);
      const truncated = offsets.some(({ low }) => Number(low) > 0);
      return { name, retentionMs: retention.get(name) ?? 0, truncated };
    }),
  );
}

/** Where the reading ends, by topic and partition; partitions with nothing in them are left out. */
type Ends = Map<string, Map<number, number>>;

async function endsOf(admin: Admin): Promise<Ends> {
  const ends: Ends = new Map();
  for (const topic of await presentTopics(admin)) {
    const filled = (await admin.fetchTopicOffsets(topic)).filter(({ low, high }) => low !== high);
    if (filled.length > 0)
      ends.set(topic, new Map(filled.map(({ partition, high }) => [partition, Number(high)])));
  }
  return ends;
}

async function readToEnds(
  consumer: Consumer,
  ends: Ends,
  visit: (message: LoggedMessage) => void,
): Promise<void> {
  if (ends.size === 0) return;
  const done = Promise.withResolvers<void>();
  const silence = setTimeout(
    () => done.reject(new Error(`Kafka handed nothing over for ${SILENCE_MS_MAX} ms`)),
    SILENCE_MS_MAX,
  );
  await consumer.connect();
  await consumer.subscribe({ topics: [...ends.keys()], fromBeginning: true });
  consumer.on(consumer.events.CRASH, ({ payload }) => done.reject(payload.error));
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }: EachBatchPayload) => {
      silence.refresh();
      const open = ends.get(batch.topic);
      const end = open?.get(batch.partition);
      if (open === undefined || end === undefined) return;
      for (const message of batch.messages) {
        if (Number(message.offset) < end) visit(messageOf(batch.topic, batch.partition, message));
      }
      if (Number(batch.lastOffset()) + 1 < end) return;
      open.delete(batch.partition);
      if (open.size === 0) ends.delete(batch.topic);
      if (ends.size === 0) done.resolve();
    },
  });
  try {
    await done.promise;
  } finally {
    clearTimeout(silence);
  }
}

function messageOf(topic: string, partition: number, message: KafkaMessage): LoggedMessage {
  const value = () => message.value?.toString() ?? "";
  return {
    topic,
    partition,
    offset: Number(message.offset),
    key: message.key?.toString() ?? "",
    eventId: message.headers?.["event-id"]?.toString() ?? eventIdIn(value()),
    letter: topic === DEAD_LETTER_TOPIC ? value() : undefined,
  };
}
