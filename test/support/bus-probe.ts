import { randomUUID } from "node:crypto";
import { silentLogger } from "../../lib/bus/bus-logger.ts";
import { createKafkaClient } from "../../lib/bus/kafka-client.ts";
import { TOPICS } from "../../lib/events.ts";
import type { System } from "./system.ts";
import { until } from "./until.ts";

/** A message as it stands on the bus. */
export interface BusRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type NewRecord = Omit<BusRecord, "offset">;

/** Looks at the bus from outside, and puts messages on it by hand, past all code of ours. */
export interface BusProbe {
  /** All that stands on a topic now, in the order of each partition. */
  records(topic: string): Promise<BusRecord[]>;
  publish(record: NewRecord): Promise<BusRecord>;
  /** The offset that the group goes on from. */
  committed(group: string, topic: string, partition: number): Promise<number>;
  close(): Promise<void>;
}

export function openProbe(system: System): Promise<BusProbe> {
  const { kafkaBrokers } = system.demo;
  return kafkaBrokers === undefined ? Promise.resolve(postgresProbe(system)) : kafkaProbe(kafkaBrokers);
}

/** Waits until the group has taken this message, whatever it made of it. */
export async function taken(probe: BusProbe, group: string, record: BusRecord): Promise<void> {
  const { topic, partition, offset } = record;
  await until(
    `${group} is past ${topic}/${partition}/${offset}`,
    async () => (await probe.committed(group, topic, partition)) > offset,
    { timeoutMs: 60_000 },
  );
}

function postgresProbe(system: System): BusProbe {
  return {
    async records(topic) {
      const rows = await system.sql<Omit<BusRecord, "headers"> & { headers: string }>(
        "bus",
        `select topic, partition, "offset"::float8 as "offset", key, value, headers from bus_log
         where topic = $1 order by partition, "offset"`,
        [topic],
      );
      return rows.map((row) => ({ ...row, headers: JSON.parse(row.headers) as Record<string, string> }));
    },
    async publish(record) {
      const { topic, partition, key, value, headers } = record;
      const [row] = await system.sql<{ offset: number }>(
        "bus",
        `with taken as (
           update bus_partitions set next_offset = next_offset + 1 where topic = $1 and partition = $2
           returning next_offset - 1 as at
         )
         insert into bus_log (topic, partition, "offset", key, value, headers)
         select $1, $2, at, $3, $4, $5 from taken returning "offset"::float8 as "offset"`,
        [topic, partition, key, value, JSON.stringify(headers)],
      );
      if (row === undefined) throw new Error(`no partition ${topic}/${partition}`);
      return { ...record, offset: row.offset };
    },
    async committed(group, topic, partition) {
      const [row] = await system.sql<{ at: number }>(
        "bus",
        `select next_offset::float8 as at from bus_offsets
         where group_name = $1 and topic = $2 and partition = $3`,
        [group, topic, partition],
      );
      return row?.at ?? 0;
    },
    close: () => Promise.resolve(),
  };
}

/** A consumer of its own, in a group of its own, that keeps all it reads. */
async function kafkaProbe(brokers: string): Promise<BusProbe> {
  const client = createKafkaClient({ brokers: [brokers], clientId: "probe", logger: silentLogger });
  const { kafka } = client;
  const [admin, producer] = [kafka.admin(), kafka.producer({ allowAutoTopicCreation: false })];
  const consumer = kafka.consumer({ groupId: `probe-${randomUUID()}`, maxWaitTimeInMs: 50 });
  const seen = new Map<string, BusRecord>();
  await Promise.all([admin.connect(), producer.connect(), consumer.connect()]);
  const topics = Object.values(TOPICS).map(({ name }) => name);
  await consumer.subscribe({ topics, fromBeginning: true });
  await consumer.run({
    eachMessage: async ({ topic, partition, message }) => {
      const headers = Object.entries(message.headers ?? {}).map(([name, text]) => [name, String(text)]);
      seen.set(`${topic}/${partition}/${message.offset}`, {
        topic,
        partition,
        offset: Number(message.offset),
        key: message.key?.toString() ?? "",
        value: message.value?.toString() ?? "",
        headers: Object.fromEntries(headers),
      });
    },
  });
  return {
    async records(topic) {
      const ends = await admin.fetchTopicOffsets(topic);
      const count = ends.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
      return until(
        `the probe has read ${topic}`,
        () => {
          const found = [...seen.values()].filter((record) => record.topic === topic);
          if (found.length < count) return undefined;
          return found.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
        },
        { timeoutMs: 30_000 },
      );
    },
    async publish(record) {
      const { topic, partition, key, value, headers } = record;
      const [written] = await producer.send({
        topic,
        acks: -1,
        messages: [{ partition, key, value, headers: { ...headers } }],
      });
      return { ...record, offset: Number(written?.baseOffset) };
    },
    async committed(groupId, topic, partition) {
      const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
      const at = found?.partitions.find((one) => one.partition === partition)?.offset;
      return Math.max(0, Number(at ?? 0));
    },
    async close() {
      await Promise.all([consumer.disconnect(), producer.disconnect(), admin.disconnect()]);
      client.sever();
    },
  };
}
