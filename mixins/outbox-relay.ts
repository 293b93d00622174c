import { type Bus, MessageRefusedError, TopicMissingError } from "../lib/bus/bus.ts";
import { type Database, withTransaction } from "../lib/database.ts";
import { TOPICS } from "../lib/events.ts";
import { createPoller, type Poller } from "../lib/poller.ts";
import {
  appendEvents,
  lettersOf,
  markPublished,
  markRefused,
  type PendingEvent,
  pendingEvents,
} from "./outbox.store.ts";
import { claimBuckets, releaseBuckets } from "./outbox-buckets.store.ts";
import { createParking } from "./outbox-parking.ts";
import { messagesOf } from "./outbox-trace.ts";

export interface RelayOptions {
  readonly database: Database;
  readonly bus: Bus;
  /** Whose outbox it is. */
  readonly service: string;
  /** Unique among all relays of the database. */
  readonly owner: string;
  readonly pollMs: number;
  readonly batchSize: number;
  readonly leaseMs: number;
  readonly onPublished: (events: readonly PendingEvent[], durationMs: number) => void;
  readonly onFailed: (event: PendingEvent, reason: string) => void;
  /** A topic does not exist: its events wait, all others go on. */
  readonly onTopicMissing: (topics: readonly string[], events: number) => void;
  readonly onError: (error: unknown) => void;
}

export interface Relay {
  /** Topics that events wait for, as far as this relay has met them lately. */
  missingTopics(): readonly string[];
  start(): void;
  wake(): void;
  /** Publishes what is in hand, gives its buckets back. */
  stop(): Promise<void>;
}

const DEAD_LETTER = "DEAD_LETTER";
const ATTEMPTS_MAX = 5;
const BACKOFF_FIRST_MS = 200;
/**
 * A pass begins this far behind the last published position: positions are taken before the commit, so an
 * earlier one may appear late. Without such a mark each pass walks over the dead index entries of all events
 * since the last vacuum (one of the two changes that took the sketch from 1,240 to 2,293 orders/s). What is later still is found
 * by the full sweep.
 */
const LATE_POSITIONS = 1_000;
const SWEEP_INTERVAL_MS = 1_000;

/**
 * Moves committed events to the bus: claims in one short statement, publishes outside any transaction,
 * marks in another. A crash in between publishes again: at least once, in order per aggregate.
 */
export function createRelay(options: RelayOptions): Relay {
  const { database, bus, owner, batchSize, leaseMs } = options;
  let buckets: readonly number[] = [];
  let claimedAt = Number.NEGATIVE_INFINITY;
  let sweptAt = Number.NEGATIVE_INFINITY;
  let mark = 0;
  const parking = createParking(database, options.onTopicMissing);

  const renew = async () => {
    if (performance.now() - claimedAt < leaseMs / 3) return;
    const before = performance.now();
    const owned = await claimBuckets(database, owner, leaseMs);
    // Its lease counts from before the statement was sent: never believed longer than the database does.
    claimedAt = before;
    if (owned.some((bucket) => !buckets.includes(bucket))) sweptAt = Number.NEGATIVE_INFINITY;
    buckets = owned;
  };

  const publish = async (events: readonly PendingEvent[]) => {
    const before = performance.now();
    await bus.publish(messagesOf(events));
    await markPublished(
      database,
      events.map(({ position }) => position),
    );
    parking.noteThrough(events);
    options.onPublished(events, performance.now() - before);
  };

  const refuse = async (event: PendingEvent, error: MessageRefusedError) => {
    const backoffMs = BACKOFF_FIRST_MS * 2 ** event.retryCount;
    const final = await withTransaction(database, async (tx) => {
      const last = await markRefused(tx, event, error.message, ATTEMPTS_MAX, backoffMs);
      // A letter about a letter would never end.
      if (last && event.type !== DEAD_LETTER) {
        const version = (await lettersOf(tx, eventIdOf(event))) + 1;
        appendEvents(tx, [deadLetter(event, error.message, options.service, version)]);
      }
      return last;
    });
    if (final) options.onFailed(event, error.message);
  };

  const pass = async () => {
    await renew();
    if (buckets.length === 0) return false;
    const sweep = performance.now() - sweptAt >= SWEEP_INTERVAL_MS;
    const events = await pendingEvents(database, sweep ? 0 : mark, buckets, batchSize);
    if (sweep) sweptAt = performance.now();
    // Committed late, or held up by a refusal: only a sweep finds both, in their order.
    if (events.some(({ behind }) => behind)) {
      sweptAt = Number.NEGATIVE_INFINITY;
      return true;
    }
    const last = events.at(-1);
    if (!last) return false;
    try {
      await publish(events);
    } catch (error) {
      if (error instanceof TopicMissingError) {
        await parking.park(events, error);
        return true;
      }
      if (!(error instanceof MessageRefusedError)) throw error;
      const refused = events[error.index];
      if (!refused) throw error;
      // Those before it are published anew by themselves: the broker may or may not have them.
      const earlier = events.slice(0, error.index);
      if (earlier.length > 0) await publish(earlier);
      await refuse(refused, error);
      return true;
    }
    const full = events.length >= batchSize;
    const next = last.position - LATE_POSITIONS;
    // A sweep that met a whole batch has found a backlog, perhaps of buckets that were another's: on from there.
    mark = sweep && full ? next : Math.max(mark, next);
    return full;
  };

  const poller: Poller = createPoller({
    name: `relay ${database.name}`,
    intervalMs: options.pollMs,
    run: pass,
    onError: options.onError,
  });
  return {
    start: poller.start,
    wake: poller.wake,
    missingTopics: parking.missing,
    async stop() {
      await poller.stop();
      await releaseBuckets(database, owner).catch(options.onError);
    },
  };
}

/** The refused event as a letter of its own: an aggregate that nothing blocks. */
function deadLetter(event: PendingEvent, reason: string, service: string, aggregateVersion: number) {
  const { message, position, retryCount, type: eventType } = event;
  const eventId = eventIdOf(event);
  return {
    type: DEAD_LETTER,
    topic: TOPICS.deadLetters.name,
    aggregateType: "dead-letter",
    aggregateId: eventId,
    aggregateVersion,
    version: 1,
    correlationId: message.headers["correlation-id"] ?? "",
    causationId: eventId,
    // The event itself stays in the outbox; a letter with its payload might be refused for the same reason.
    data: {
      source: "outbox",
      service,
      topic: message.topic,
      position,
      eventType,
      error: reason,
      attempts: retryCount + 1,
    },
  };
}

function eventIdOf({ message }: PendingEvent): string {
  return message.headers["event-id"] ?? "";
}
