import type { TopicDefinition } from "./bus/bus.ts";
import { TOPICS } from "./topics.ts";

/** What retention may forget when: ages that depend on each other. */

export const DAY_MS = 86_400_000;

/** Kafka deletes whole segments, and rolls one after 7 days unless told otherwise: a message may stay that much longer. */
const SEGMENT_DAYS = 7;
/** Whatever is published once more, from the outbox or as a dead letter, then stands on an event topic anew. */
const EVENT_TOPIC_DAYS = 7 + SEGMENT_DAYS;

interface Ages {
  readonly OUTBOX_DAYS: number;
  readonly INBOX_DAYS: number;
  readonly SAGA_DAYS: number;
  readonly IDEMPOTENCY_HOURS: number;
}

/**
 * An event may come again for this many days: from a topic, or published once more from the outbox or the topic of
 * dead letters by an operator. A consumer that forgot it sooner would let it have its effect twice.
 */
export function replayDays(outboxDays: number, topics: readonly TopicDefinition[]): number {
  const days = topics.map(({ retentionMs }) =>
    retentionMs < 0 ? Number.POSITIVE_INFINITY : retentionMs / DAY_MS + SEGMENT_DAYS,
  );
  return Math.ceil(Math.max(outboxDays, ...days) + EVENT_TOPIC_DAYS);
}

/** What is wrong with these ages, and the setting to blame; undefined when they fit each other. */
export function problemOfAges({ OUTBOX_DAYS, INBOX_DAYS, SAGA_DAYS, IDEMPOTENCY_HOURS }: Ages) {
  const replay = replayDays(OUTBOX_DAYS, Object.values(TOPICS));
  if (INBOX_DAYS < replay) {
    const { name, retentionMs } = TOPICS.deadLetters;
    const sources = `OUTBOX_DAYS (${OUTBOX_DAYS}) and the topic ${name} (${retentionMs / DAY_MS} days)`;
    const problem = `${INBOX_DAYS} is too short: with ${sources} an event may come again for ${replay} days, and would have its effect twice`;
    return { setting: "INBOX_DAYS", problem };
  }
  if (SAGA_DAYS < INBOX_DAYS) {
    const problem = `${SAGA_DAYS} is less than INBOX_DAYS (${INBOX_DAYS}): an event might come again when its saga is gone`;
    return { setting: "SAGA_DAYS", problem };
  }
  if (SAGA_DAYS * 24 < IDEMPOTENCY_HOURS) {
    const problem = `${SAGA_DAYS} is less than IDEMPOTENCY_HOURS (${IDEMPOTENCY_HOURS}): an answer would name a saga that is gone`;
    return { setting: "SAGA_DAYS", problem };
  }
  return undefined;
}
