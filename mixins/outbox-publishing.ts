import { type Bus, MessageRefusedError, TopicMissingError } from "../lib/bus/bus.ts";
import { type Database, withTransaction } from "../lib/database.ts";
import { TOPICS } from "../lib/events.ts";
import { appendEvents, lettersOf, markRefused, type PendingEvent } from "./outbox.store.ts";
import type { Marks } from "./outbox-marks.ts";
import { createParking } from "./outbox-parking.ts";
import { messagesOf } from "./outbox-trace.ts";

export interface PublishingOptions {
  readonly database: Database;
  readonly bus: Bus;
  /** Whose outbox it is. */
  readonly service: string;
  readonly onPublished: (events: readonly PendingEvent[], durationMs: number) => void;
  readonly onFailed: (event: PendingEvent, reason: string) => void;
  /** A topic does not exist: its events wait, all others go on. */
  readonly onTopicMissing: (topics: readonly string[], events: number) => void;
}

export interface Publishing {
  /** Answers false when not all of them are out: the tables tell what comes first now. */
  publish(events: readonly PendingEvent[]): Promise<boolean>;
  /** Topics that events wait for, as far as this relay has met them lately. */
  missingTopics(): readonly string[];
}

const DEAD_LETTER = "DEAD_LETTER";
const ATTEMPTS_MAX = 5;
const BACKOFF_FIRST_MS = 200;

/** Publishes events and has them marked; what the bus refuses is tried again some times, and is then a dead letter. */
export function createPublishing(options: PublishingOptions, marks: Marks): Publishing {
  const { database, bus } = options;
  const parking = createParking(database, options.onTopicMissing);

  const publishOnce = async (events: readonly PendingEvent[]) => {
    const before = performance.now();
    await bus.publish(messagesOf(events));
    marks.add(events.map(({ position }) => position));
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

  const publish = async (events: readonly PendingEvent[]) => {
    try {
      await publishOnce(events);
      return true;
    } catch (error) {
      if (error instanceof TopicMissingError) {
        await marks.store();
        await parking.park(events, error);
        return false;
      }
      if (!(error instanceof MessageRefusedError)) throw error;
      const refused = events[error.index];
      if (!refused) throw error;
      // Those before it are published anew by themselves: the broker may or may not have them.
      const earlier = events.slice(0, error.index);
      if (earlier.length > 0) await publishOnce(earlier);
      // What is out blocks nobody, and only its mark tells.
      await marks.store();
      await refuse(refused, error);
      return false;
    }
  };

  return { publish, missingTopics: parking.missing };
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
