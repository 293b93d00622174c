import type { TopicMissingError } from "../lib/bus/bus.ts";
import { type Database, withTransaction } from "../lib/database.ts";
import { type PendingEvent, postpone } from "./outbox.store.ts";

/** How often a topic that does not exist is tried again. */
const RETRY_MS = 2_000;
/** A topic that was not met again for so long is another relay's to meet by now. */
const LATELY_MS = 5 * RETRY_MS;
/** How often it is told while it lasts. */
const TELL_MS = 60_000;

/** Events whose topic does not exist: they wait in their order, at no retry's cost, and all others go on. */
export interface Parking {
  park(events: readonly PendingEvent[], error: TopicMissingError): Promise<void>;
  /** What has gone through: its topics are there. */
  noteThrough(events: readonly PendingEvent[]): void;
  /** Topics that were missing lately. */
  missing(): readonly string[];
}

export function createParking(
  database: Database,
  onMissing: (topics: readonly string[], events: number) => void,
): Parking {
  const metAt = new Map<string, number>();
  let told: ReadonlySet<string> = new Set();
  let toldAt = Number.NEGATIVE_INFINITY;
  return {
    async park(events, { topics, message }) {
      const concerned = events.filter((event) => topics.includes(event.message.topic));
      // The first of each aggregate is blocked, and those behind it with it.
      const heads = new Map<string, PendingEvent>();
      for (const event of concerned) if (!heads.has(event.aggregateId)) heads.set(event.aggregateId, event);
      await withTransaction(database, async (tx) => postpone(tx, [...heads.values()], message, RETRY_MS));
      const now = performance.now();
      for (const topic of topics) metAt.set(topic, now);
      if (now - toldAt < TELL_MS && topics.every((topic) => told.has(topic))) return;
      told = new Set(topics);
      toldAt = now;
      onMissing(topics, concerned.length);
    },
    noteThrough(events) {
      if (metAt.size === 0) return;
      for (const { message } of events) metAt.delete(message.topic);
      if (metAt.size === 0) told = new Set();
    },
    missing() {
      const since = performance.now() - LATELY_MS;
      return [...metAt].filter(([, at]) => at >= since).map(([topic]) => topic);
    },
  };
}
