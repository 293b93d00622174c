import { createBatcher } from "../lib/batcher.ts";
import { busOf } from "../lib/bus/broker-bus.ts";
import type { ReceivedMessage, Subscription } from "../lib/bus/bus.ts";
import { config } from "../lib/config.ts";
import type { Database, Tx } from "../lib/database.ts";
import { type ActionContext, defineMixin } from "../lib/define.ts";
import { drainFirst } from "../lib/drain.ts";
import { type DomainEvent, EVENTS, type EventType, isEventType } from "../lib/events.ts";
import { log } from "../lib/logging.ts";
import { type Metrics, metricsOf } from "../lib/metrics.ts";
import type { PartitionStanding } from "../lib/operator-contracts.ts";
import { readinessOf } from "../lib/readiness.ts";
import { type ConsumerOptions, consume, type ReceivedEvent, redrive } from "./inbox-consumer.ts";

export interface InboxOptions {
  /** Consumer group: each event has its effect once per group. */
  readonly group: string;
  readonly topics: readonly string[];
  readonly types: readonly EventType[];
}

interface InboxVars {
  database: Database;
  subscription: Subscription;
  /** To be written by the service: applies events in the transaction that records them. Runs again when the
   *  transaction does, so what must happen once goes into `tx.afterCommit`. */
  applyEvents(tx: Tx, events: readonly DomainEvent[]): Promise<void>;
}

const MESSAGE = {
  type: "object",
  strict: true,
  props: {
    topic: "string",
    partition: { type: "number", integer: true, min: 0 },
    offset: { type: "string", pattern: /^\d{1,19}$/ },
    key: "string",
    value: "string",
    headers: { type: "record", key: "string", value: "string" },
    timestampMs: { type: "number", min: 0 },
  },
};

/** Consumes events exactly once in effect. Needs the database and outbox mixins. */
export const inbox = (options: InboxOptions) =>
  defineMixin<InboxVars>()({
    methods: {
      consumerOptions(): ConsumerOptions {
        const metrics = metricsOf(this.broker);
        return {
          database: this.database,
          group: options.group,
          types: new Set(options.types),
          attemptsMax: config().INBOX_ATTEMPTS_MAX,
          apply: (tx, events) => this.applyEvents(tx, events),
          onProcessed: (fresh, duplicates, durationMs) => {
            for (const [type, [topic, count]] of countByType(fresh)) {
              metrics.eventsReceived(topic, type, count);
              metrics.eventsProcessed(topic, type, "processed", count);
            }
            for (const [type, [topic, count]] of countByType(duplicates)) {
              metrics.eventsReceived(topic, type, count);
              metrics.eventsProcessed(topic, type, "duplicate", count);
            }
            metrics.eventProcessing(durationMs / 1_000);
          },
          onDeadLetter: ({ topic, partition, offset, headers }, err) => {
            const eventType = headers["event-type"] ?? "unreadable";
            // Whoever writes to the bus writes headers: a type that we do not know makes no series of its own.
            const type = isEventType(eventType) ? eventType : "unreadable";
            metrics.eventsReceived(topic, type);
            metrics.eventsProcessed(topic, type, "dead_letter");
            log(this.logger, { correlationId: headers["correlation-id"] }).error("dead letter", {
              group: options.group,
              topic,
              partition,
              offset,
              eventType,
              err,
            });
          },
        };
      },
    },
    actions: {
      /** What this service's group has not taken yet. */
      lag: {
        callers: ["gateway"],
        params: { $$strict: true },
        async handler(): Promise<{ partitions: PartitionStanding[] }> {
          const { group, topics } = options;
          const found = await busOf(this.broker).lag(group, topics);
          return { partitions: found.map(({ topic, partition, lag }) => ({ group, topic, partition, lag })) };
        },
      },
      /** Delivers a message that this service's group has put aside. @throws EVENT_INVALID, DEAD_LETTER_UNKNOWN */
      redriveMessage: {
        callers: ["saga"],
        params: { $$strict: true, message: MESSAGE },
        async handler(ctx: ActionContext<"order.redriveMessage">): Promise<{ done: true }> {
          await redrive(this.consumerOptions(), ctx.params.message);
          return { done: true };
        },
      },
    },
    async started() {
      const bus = busOf(this.broker);
      const { BATCH_SIZE_MAX } = config();
      const consumer = this.consumerOptions();
      // Kafka hands over one partition at a time: what comes at the same time shares one transaction.
      const join = createBatcher<readonly ReceivedMessage[], void>({
        name: options.group,
        sizeMax: 16,
        run: async (batches) => {
          await consume(consumer, batches.flat());
          return batches.map(() => undefined);
        },
      });
      this.subscription = await bus.subscribe({
        group: options.group,
        topics: options.topics,
        types: options.types,
        batchSizeMax: BATCH_SIZE_MAX,
        handler: (messages) => join(messages),
      });
      readinessOf(this.broker).register(`consumer:${options.group}`, async () => {
        const state = this.subscription.state();
        if (state !== "running") throw new Error(`the consumer group is ${state}`);
      });
      const metrics = metricsOf(this.broker);
      beginCounters(metrics, options);
      metrics.collect(async () => {
        metrics.consumerLag(options.group, await bus.lag(options.group, options.topics));
      });
      drainFirst(this.broker, `consumer ${options.group}`, () => this.subscription.stop());
    },
    async stopped() {
      await this.subscription?.stop();
    },
  });

const RESULTS = ["processed", "duplicate", "dead_letter"] as const;

function beginCounters(metrics: Metrics, { topics, types }: InboxOptions): void {
  const known = types.map((type) => ({ topic: EVENTS[type].topic, type }));
  const unreadable = topics.map((topic) => ({ topic, type: "unreadable" }));
  metrics.begin("oms_events_received_total", [...known, ...unreadable]);
  metrics.begin("oms_events_processed_total", [
    ...known.flatMap((labels) => RESULTS.map((result) => ({ ...labels, result }))),
    ...unreadable.map((labels) => ({ ...labels, result: "dead_letter" })),
  ]);
}

function countByType(received: readonly ReceivedEvent[]): ReadonlyMap<string, readonly [string, number]> {
  const counts = new Map<string, readonly [string, number]>();
  for (const { event, message } of received) {
    counts.set(event.eventType, [message.topic, (counts.get(event.eventType)?.[1] ?? 0) + 1]);
  }
  return counts;
}
