import kafkajs, { type Producer } from "kafkajs";
import { createBatcher } from "../batcher.ts";
import { type BusMessage, BusUnavailableError, MessageRefusedError } from "./bus.ts";
import { createKafkaClient, type KafkaClient, type KafkaConnection, within } from "./kafka-client.ts";
import { partitionOf } from "./partitioner.ts";

export interface KafkaPublisher {
  publish(messages: readonly BusMessage[]): Promise<void>;
  close(): Promise<void>;
}

/** A broker takes a partition's batch up to message.max.bytes (1 MB); together they must stay below. */
const BYTES_MAX = 900_000;

/** Refusals of the message itself; everything else may pass. */
const REFUSED = new Set([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_RECORD",
  "INVALID_TIMESTAMP",
  "INVALID_TOPIC_EXCEPTION",
  "POLICY_VIOLATION",
]);

interface Line {
  readonly client: KafkaClient;
  readonly producer: Producer;
}

/**
 * kafkajs's idempotent producer loses acknowledged messages when a second send is under way while the first one's
 * response is lost, and when a send fails and the producer is used again: both times its sequence numbers fall
 * back, and the broker takes new messages for repetitions. So one send at a time, and a producer that has
 * failed once is thrown away with all its connections; the next one has another producer id.
 */
export function createKafkaPublisher(connection: KafkaConnection, deadlineMs: number): KafkaPublisher {
  let line: Line | undefined;

  const giveUp = (failed: Line) => {
    if (line === failed) line = undefined;
    failed.client.sever();
    connection.remains.add(failed.producer.disconnect());
  };

  const send = async (messages: readonly BusMessage[]) => {
    line ??= openLine(connection, deadlineMs);
    const current = line;
    const sending = sendThrough(current.producer, messages);
    connection.remains.add(sending);
    try {
      await within(deadlineMs, "publishing to Kafka", sending);
    } catch (error) {
      giveUp(current);
      // As "unavailable" it goes to all who wait; a refusal makes the batcher run each call alone.
      throw isRefusal(error) ? error : unavailable(error);
    }
  };

  const append = createBatcher<readonly BusMessage[], void>({
    name: "bus-publish",
    concurrency: 1,
    run: async (calls) => {
      for (const chunk of chunksOf(calls.flat())) await send(chunk);
      return calls.map(() => undefined);
    },
  });

  /** The batch was refused and nobody said for which message: one by one it shows. */
  const publishSingly = async (messages: readonly BusMessage[]) => {
    for (const [index, message] of messages.entries()) {
      try {
        await append([message]);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        throw new MessageRefusedError(`Kafka refused the message: ${typeOf(error)}`, index, { cause: error });
      }
    }
  };

  return {
    async publish(messages) {
      try {
        await append(messages).catch((error: unknown) => {
          if (!isRefusal(error)) throw error;
          return publishSingly(messages);
        });
      } catch (error) {
        throw error instanceof MessageRefusedError ? error : unavailable(error);
      }
    },
    async close() {
      const last = line;
      line = undefined;
      if (last === undefined) return;
      await within(5_000, "disconnecting", last.producer.disconnect()).catch(() => undefined);
      last.client.sever();
    },
  };
}

function openLine(connection: KafkaConnection, deadlineMs: number): Line {
  const client = createKafkaClient(connection);
  const producer = client.kafka.producer({
    idempotent: true,
    allowAutoTopicCreation: false,
    metadataMaxAge: 60_000,
    // The same hash as the default partitioner's, which computes it with BigInt.
    createPartitioner:
      () =>
      ({ partitionMetadata, message }) =>
        partitionOf(String(message.key), partitionMetadata.length),
    // Without a limit a send that was given up would be tried for ever; each try takes some three seconds while no
    // broker answers. Safe, because a producer is never used again after it has failed.
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: Math.ceil(deadlineMs / 3_000) },
  });
  return { client, producer };
}

const connected = new WeakSet<Producer>();

async function sendThrough(producer: Producer, messages: readonly BusMessage[]): Promise<void> {
  if (!connected.has(producer)) {
    await producer.connect();
    connected.add(producer);
  }
  const byTopic = Map.groupBy(messages, (message) => message.topic);
  await producer.sendBatch({
    acks: -1,
    timeout: 10_000,
    // Gzip made it 60 instead of 42 us of Node per message, both sides; the network is not what is short here.
    compression: kafkajs.CompressionTypes.None,
    topicMessages: [...byTopic].map(([topic, ofTopic]) => ({
      topic,
      messages: ofTopic.map(({ key, value, headers }) => ({ key, value, headers: { ...headers } })),
    })),
  });
}

function* chunksOf(messages: readonly BusMessage[]): Generator<readonly BusMessage[]> {
  let chunk: BusMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = sizeOf(message);
    if (chunk.length > 0 && bytes + size > BYTES_MAX) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(message);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

function sizeOf({ key, value, headers }: BusMessage): number {
  let size = 100 + key.length + Buffer.byteLength(value);
  for (const [name, header] of Object.entries(headers)) size += 4 + name.length + header.length;
  return size;
}

function typeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "type" in error ? String(error.type) : "";
}

function isRefusal(error: unknown): boolean {
  return REFUSED.has(typeOf(error));
}

function unavailable(error: unknown): BusUnavailableError {
  if (error instanceof BusUnavailableError) return error;
  return new BusUnavailableError("Kafka did not take the messages.", { cause: error });
}
