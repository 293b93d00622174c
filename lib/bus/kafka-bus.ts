import { type Bus, BusUnavailableError, type SubscribeOptions } from "./bus.ts";
import { type BusLogger, silentLogger } from "./bus-logger.ts";
import { checkMessages } from "./check-messages.ts";
import {
  countPartitions,
  createKafkaAdmin,
  createMissingTopics,
  describeTopics,
  findLag,
} from "./kafka-admin.ts";
import { type KafkaConnection, Remains } from "./kafka-client.ts";
import { createKafkaPublisher } from "./kafka-publisher.ts";
import type { KafkaSecurity } from "./kafka-security.ts";
import { KafkaSubscription } from "./kafka-subscription.ts";
import { createTopicCheck } from "./topic-check.ts";

export interface KafkaBusOptions {
  /** host:port of some brokers of the cluster. */
  readonly brokers: readonly string[];
  readonly security?: KafkaSecurity;
  readonly clientId?: string;
  readonly logger?: BusLogger;
  /** A publish that Kafka has not acknowledged by then is given up. */
  readonly publishDeadlineMs?: number;
  /** A member that dies loses its partitions after this time. */
  readonly sessionTimeoutMs?: number;
}

/** The event log in Apache Kafka, through kafkajs. */
export function createKafkaBus(options: KafkaBusOptions): Bus {
  const { brokers, security, clientId = "holdfast", logger = silentLogger } = options;
  const remains = new Remains();
  const connection: KafkaConnection = { brokers, security, clientId, logger, remains };
  const admin = createKafkaAdmin(connection);
  const publisher = createKafkaPublisher(connection, options.publishDeadlineMs ?? 30_000);
  const subscriptions = new Set<KafkaSubscription>();
  // kafkajs repeats a send to a topic that does not exist until its retries run out, as if it were an outage.
  const topics = createTopicCheck(() => admin.ask("reading topics", countPartitions));

  return {
    kind: "kafka",
    async publish(messages) {
      checkMessages(messages);
      if (messages.length === 0) return;
      await topics.check(messages);
      try {
        await publisher.publish(messages);
      } catch (error) {
        topics.forget();
        throw error;
      }
    },
    async subscribe(request: SubscribeOptions) {
      const subscription = new KafkaSubscription({
        retryDelayMs: 100,
        retryDelayMaxMs: 5_000,
        ...request,
        connection,
        sessionTimeoutMs: options.sessionTimeoutMs ?? 6_000,
      });
      subscriptions.add(subscription);
      return subscription;
    },
    lag: (group, names) => admin.ask("reading the lag", (kafka) => findLag(kafka, group, names)),
    ensureTopics: (wanted) => admin.ask("creating topics", (kafka) => createMissingTopics(kafka, wanted)),
    describeTopics: (names) => admin.ask("reading topics", (kafka) => describeTopics(kafka, names)),
    async ping() {
      const { brokers: alive } = await admin.ask("ping", (kafka) => kafka.describeCluster());
      if (alive.length === 0) throw new BusUnavailableError("ping: no Kafka broker is alive.");
    },
    async close() {
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()));
      await publisher.close();
      admin.close();
      await remains.settle(5_000);
    },
  };
}
