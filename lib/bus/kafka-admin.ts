import kafkajs, { type Admin } from "kafkajs";
import { BusUnavailableError, type PartitionLag, type TopicDefinition } from "./bus.ts";
import { createKafkaClient, type KafkaConnection, within } from "./kafka-client.ts";

const DEADLINE_MS = 10_000;

/** Asks the cluster. @throws BusUnavailableError no answer within ten seconds */
export type AskKafka = <Answer>(what: string, work: (admin: Admin) => Promise<Answer>) => Promise<Answer>;

interface Line {
  readonly admin: Admin;
  readonly connecting: Promise<void>;
  close(): void;
}

/** Keeps one connection for all questions, and takes a new one after a failure. */
export function createKafkaAdmin(connection: KafkaConnection): { ask: AskKafka; close(): void } {
  let line: Line | undefined;
  const giveUp = (failed: Line) => {
    if (line === failed) line = undefined;
    failed.close();
  };
  return {
    async ask(what, work) {
      line ??= openLine(connection);
      const current = line;
      try {
        return await within(
          DEADLINE_MS,
          what,
          current.connecting.then(() => work(current.admin)),
        );
      } catch (error) {
        giveUp(current);
        if (error instanceof BusUnavailableError) throw error;
        throw new BusUnavailableError(`${what}: Kafka did not answer.`, { cause: error });
      }
    },
    close() {
      if (line !== undefined) giveUp(line);
    },
  };
}

function openLine(connection: KafkaConnection): Line {
  const client = createKafkaClient(connection);
  const admin = client.kafka.admin({ retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 3 } });
  const connecting = admin.connect();
  connecting.catch(() => undefined);
  return {
    admin,
    connecting,
    close() {
      client.sever();
      connection.remains.add(admin.disconnect());
    },
  };
}

/** How many partitions each topic has. */
export async function countPartitions(admin: Admin): Promise<Map<string, number>> {
  const { topics } = await admin.fetchTopicMetadata();
  return new Map(topics.map((topic) => [topic.name, topic.partitions.length]));
}

export async function createMissingTopics(admin: Admin, topics: readonly TopicDefinition[]): Promise<void> {
  const present = await countPartitions(admin);
  const missing = topics.filter((topic) => !present.has(topic.name));
  if (missing.length === 0) return;
  // Answers false when another process was faster, and does not mind.
  await admin.createTopics({
    timeout: 5_000,
    topics: missing.map(({ name, partitions, retentionMs }) => ({
      topic: name,
      numPartitions: partitions,
      replicationFactor: -1,
      configEntries: [{ name: "retention.ms", value: String(retentionMs) }],
    })),
  });
  // Brokers learn of a new topic one after the other; the caller may publish to it at once.
  for (;;) {
    const now = await countPartitions(admin);
    if (missing.every((topic) => now.has(topic.name))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function describeTopics(admin: Admin, names: readonly string[]): Promise<TopicDefinition[]> {
  const counts = await countPartitions(admin);
  const present = names.filter((name) => counts.has(name));
  if (present.length === 0) return [];
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: present.map((name) => ({
      type: kafkajs.ConfigResourceTypes.TOPIC,
      name,
      configNames: ["retention.ms"],
    })),
  });
  const retention = new Map(
    resources.map(({ resourceName, configEntries }) => [resourceName, Number(configEntries[0]?.configValue)]),
  );
  return present.sort().map((name) => ({
    name,
    partitions: counts.get(name) ?? 0,
    retentionMs: retention.get(name) ?? 0,
  }));
}

export async function findLag(
  admin: Admin,
  group: string,
  topics: readonly string[],
): Promise<PartitionLag[]> {
  const counts = await countPartitions(admin);
  const present = topics.filter((topic) => counts.has(topic)).sort();
  const committed = new Map<string, number>();
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId: group, topics: present })) {
    for (const { partition, offset } of partitions) committed.set(`${topic}/${partition}`, Number(offset));
  }
  const perTopic = present.map(async (topic) => {
    const offsets = await admin.fetchTopicOffsets(topic);
    return offsets
      .sort((a, b) => a.partition - b.partition)
      .map(({ partition, low, high }) => {
        // -1: the group has committed nothing, and begins at the beginning.
        const position = Math.max(committed.get(`${topic}/${partition}`) ?? 0, Number(low));
        return { topic, partition, lag: Math.max(0, Number(high) - position) };
      });
  });
  return (await Promise.all(perTopic)).flat();
}
