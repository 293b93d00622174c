import { randomUUID } from "node:crypto";
import { silentLogger } from "../../../lib/bus/bus-logger.ts";
import { createKafkaClient } from "../../../lib/bus/kafka-client.ts";
import { envelope, lineOf } from "../../support/forged-messages.ts";

/** What comes to the bus past all code of ours: messages that nobody can use, and members that do no work. */

const reserve = (data: object) => ({
  data: { orderId: randomUUID(), sagaId: randomUUID(), items: [], ...data },
});
const POISON: readonly (() => string)[] = [
  () => "{not json",
  () => '{"hello":"world"}',
  () => envelope("NO_SUCH_EVENT", {}),
  () => envelope("RESERVE_STOCK", reserve({})),
  () => envelope("RESERVE_STOCK", reserve({ orderId: "order-1", items: lineOf(randomUUID()) })),
  () =>
    envelope("STOCK_RESERVED", {
      data: { orderId: randomUUID(), sagaId: "saga-1", items: [], expiresAt: "soon" },
    }),
];

/** One of each kind, to one partition. */
export async function poison(brokers: string, topic: string): Promise<void> {
  const client = createKafkaClient({ brokers: [brokers], clientId: "nemesis", logger: silentLogger });
  const producer = client.kafka.producer({ allowAutoTopicCreation: false });
  try {
    await producer.connect();
    const key = `poison-${randomUUID()}`;
    await producer.send({ topic, acks: -1, messages: POISON.map((value) => ({ key, value: value() })) });
  } finally {
    await producer.disconnect().catch(() => undefined);
    client.sever();
  }
}

/** Joins the group, is given partitions, lets them lie until `leave` is called. */
export async function intrude(
  brokers: string,
  groupId: string,
  topics: string[],
): Promise<() => Promise<void>> {
  const client = createKafkaClient({ brokers: [brokers], clientId: "nemesis", logger: silentLogger });
  const consumer = client.kafka.consumer({ groupId, sessionTimeout: 6_000, heartbeatInterval: 1_000 });
  const leave = async () => {
    await consumer.disconnect().catch(() => undefined);
    client.sever();
  };
  try {
    await consumer.connect();
    await consumer.subscribe({ topics });
    await consumer.run({ autoCommit: false, eachBatch: () => Promise.resolve() });
  } catch (error) {
    await leave();
    throw error;
  }
  return leave;
}
