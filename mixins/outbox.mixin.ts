import { hostname } from "node:os";
import { busOf } from "../lib/bus/broker-bus.ts";
import { TopicMissingError } from "../lib/bus/bus.ts";
import { config } from "../lib/config.ts";
import { type Database, type Tx, withTransaction } from "../lib/database.ts";
import { type ActionContext, defineMixin } from "../lib/define.ts";
import { StateConflictError } from "../lib/errors.ts";
import { assertEventData, EVENTS, type EventData, type EventType } from "../lib/events.ts";
import { uuidv7 } from "../lib/ids.ts";
import { log } from "../lib/logging.ts";
import { metricsOf } from "../lib/metrics.ts";
import type { OutboxStanding } from "../lib/operator-contracts.ts";
import { readinessOf } from "../lib/readiness.ts";
import { appendEvents, releaseRefused } from "./outbox.store.ts";
import { backlogOf, refusedCount } from "./outbox-backlog.store.ts";
import { createRelay, type Relay } from "./outbox-relay.ts";
import { recordPublished } from "./outbox-trace.ts";

/** An event to be told. Its topic, aggregate type and schema come from lib/events.ts. */
export interface NewEvent<Type extends EventType = EventType> {
  readonly type: Type;
  readonly aggregateId: string;
  /** The aggregate's next version: taken from its row, which this transaction has locked. */
  readonly aggregateVersion: number;
  readonly correlationId: string;
  readonly causationId?: string;
  readonly data: EventData[Type];
}

interface OutboxVars {
  database: Database;
  relay: Relay;
}

/**
 * Transactional outbox: `this.enqueueEvents(tx, events)` appends in the caller's transaction; a relay moves
 * what is committed to the bus, handed over by the commit, with polling as fallback. Needs the database mixin.
 */
export const outbox = (service: string) =>
  defineMixin<OutboxVars>()({
    methods: {
      /** @throws EventInvalidError when the data breaks the event's schema */
      enqueueEvents(tx: Tx, events: readonly NewEvent[]): void {
        const complete = events.map((event) => {
          assertEventData(event.type, event.data);
          const { topic, aggregateType, version } = EVENTS[event.type];
          return { ...event, topic, aggregateType, version };
        });
        appendEvents(tx, complete, this.relay.handOver);
      },
    },
    created() {
      const settings = config();
      const metrics = metricsOf(this.broker);
      this.relay = createRelay({
        database: this.database,
        bus: busOf(this.broker),
        service,
        owner: `${hostname()} ${process.pid} ${uuidv7()}`,
        pollMs: settings.OUTBOX_POLL_MS,
        batchSize: settings.OUTBOX_BATCH_SIZE,
        leaseMs: settings.OUTBOX_LEASE_MS,
        onPublished: (events, durationMs) => {
          metrics.outboxPublished(events.length, durationMs / 1_000);
          recordPublished(events, service, durationMs);
        },
        onFailed: (event, reason) => {
          metrics.outboxFailed();
          const { type: eventType, aggregateId } = event;
          const correlationId = event.message.headers["correlation-id"];
          log(this.logger, { correlationId }).error("the bus refuses an event: dead letter", {
            eventType,
            aggregateId,
            reason,
          });
        },
        onTopicMissing: (topics, events) =>
          log(this.logger, {}).error("a topic does not exist: its events wait until it is created", {
            topics,
            events,
          }),
        onError: (err) => log(this.logger, {}).warn("the outbox relay will try again", { err }),
      });
      metrics.collect(async () => metrics.outboxBacklog(service, await backlogOf(this.database)));
    },
    actions: {
      /** What is committed here and not on the bus. */
      outbox: {
        callers: ["gateway"],
        params: { $$strict: true },
        async handler(): Promise<OutboxStanding> {
          const [backlog, refused] = await Promise.all([
            backlogOf(this.database),
            refusedCount(this.database),
          ]);
          return { service, pending: backlog.events, lagSeconds: Math.round(backlog.lagSeconds), refused };
        },
      },
      /** Lets the relay publish an event that the bus has refused. @throws EVENT_NOT_REFUSED */
      redriveEvent: {
        callers: ["saga"],
        params: { $$strict: true, position: { type: "number", integer: true, min: 1 } },
        async handler(ctx: ActionContext<"order.redriveEvent">): Promise<{ done: true }> {
          const { position } = ctx.params;
          const isThere = await withTransaction(this.database, (tx) => releaseRefused(tx, position));
          if (!isThere) {
            const message = "There is no event at this position of the outbox any more.";
            throw new StateConflictError(message, "EVENT_NOT_REFUSED", { service, position });
          }
          this.relay.wake();
          return { done: true };
        },
      },
    },
    async started() {
      readinessOf(this.broker).register(`outbox:${service}`, async () => {
        const topics = this.relay.missingTopics();
        if (topics.length > 0) throw new TopicMissingError(topics);
      });
      this.relay.start();
    },
    async stopped() {
      await this.relay.stop();
    },
  });
