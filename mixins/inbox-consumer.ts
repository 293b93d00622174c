import type { ReceivedMessage } from "../lib/bus/bus.ts";
import { type Database, type Tx, withTransaction } from "../lib/database.ts";
import { isTransientDatabaseError } from "../lib/database-errors.ts";
import { factsOf, RuleViolationError, StateConflictError } from "../lib/errors.ts";
import { type DomainEvent, EventInvalidError, parseEvent, TOPICS } from "../lib/events.ts";
import { storable, storableText } from "../lib/storable.ts";
import { parseTraceparent } from "../lib/tracing/trace-context.ts";
import { inBatch, type Scope, tracing } from "../lib/tracing/tracing.ts";
import { type InboxRow, positionId, recordEvents, reopenEvent } from "./inbox.store.ts";
import { appendEvents } from "./outbox.store.ts";

export interface ReceivedEvent {
  readonly event: DomainEvent;
  readonly message: ReceivedMessage;
}

export interface ConsumerOptions {
  readonly database: Database;
  readonly group: string;
  /** Types the group acts on; all others pass by without a trace. */
  readonly types: ReadonlySet<string>;
  readonly attemptsMax: number;
  /** Applies events that are new to the group, in the transaction that records them. */
  readonly apply: (tx: Tx, events: readonly DomainEvent[]) => Promise<void>;
  readonly onProcessed: (
    fresh: readonly ReceivedEvent[],
    duplicates: readonly ReceivedEvent[],
    durationMs: number,
  ) => void;
  readonly onDeadLetter: (message: ReceivedMessage, error: unknown) => void;
}

const RETRY_FIRST_MS = 50;

/**
 * Processes messages: effect and inbox row in one transaction for the whole batch. A batch that fails goes
 * message by message, so that one poison message holds up nothing but itself and ends as a dead letter. A
 * passing failure (database away, locks) is thrown: the bus brings the messages again.
 */
export async function consume(options: ConsumerOptions, messages: readonly ReceivedMessage[]): Promise<void> {
  const { readable, poison } = read(options, messages);
  for (const { message, error } of poison) await deadLetter(options, message, undefined, error, 1);
  if (readable.length === 0) return;
  const work = () => processAll(options, readable);
  await (tracing.on ? inTraces(options, readable, work) : work());
}

async function processAll(options: ConsumerOptions, received: readonly ReceivedEvent[]): Promise<void> {
  try {
    await process(options, received);
  } catch (error) {
    if (isTransient(error)) throw error;
    for (const one of received) await processAlone(options, one);
  }
}

/** Each event whose trace is known goes on in it. */
function inTraces(options: ConsumerOptions, received: readonly ReceivedEvent[], work: () => Promise<void>) {
  const { group } = options;
  const service = group.replace(/-service-group$/, "");
  const items = received.map((one) => ({
    scope: scopeOf(one, service),
    name: `process ${one.event.eventType}`,
  }));
  return inBatch({ name: "process", service, kind: "consumer", attributes: { group } }, items, work);
}

function scopeOf({ event, message }: ReceivedEvent, service: string): Scope | undefined {
  const parent = parseTraceparent(message.headers.traceparent);
  if (!parent?.sampled) return undefined;
  const { eventId: causationId, correlationId } = event;
  return [{ traceId: parent.traceId, spanId: parent.spanId, service, correlationId, causationId }];
}

interface Poison {
  readonly message: ReceivedMessage;
  readonly error: EventInvalidError;
}

function read(options: ConsumerOptions, messages: readonly ReceivedMessage[]) {
  const readable: ReceivedEvent[] = [];
  const poison: Poison[] = [];
  const known = new Set<string>();
  for (const message of messages) {
    const type = message.headers["event-type"];
    if (type !== undefined && !options.types.has(type)) continue;
    try {
      const event = parseEvent(message.value);
      if (!options.types.has(event.eventType) || known.has(event.eventId)) continue;
      known.add(event.eventId);
      readable.push({ event, message });
    } catch (error) {
      if (!(error instanceof EventInvalidError)) throw error;
      poison.push({ message, error });
    }
  }
  return { readable, poison };
}

async function process(options: ConsumerOptions, received: readonly ReceivedEvent[]): Promise<void> {
  const before = performance.now();
  const fresh = await withTransaction(options.database, async (tx) => {
    const isNew = await recordEvents(tx, options.group, received.map(rowOf));
    const news = received.filter(({ event }) => isNew.has(event.eventId));
    if (news.length > 0)
      await options.apply(
        tx,
        news.map(({ event }) => event),
      );
    return news;
  });
  options.onProcessed(fresh, without(received, fresh), performance.now() - before);
}

/** Duplicates are rare: usually there is nothing to tell apart. */
function without(all: readonly ReceivedEvent[], fresh: readonly ReceivedEvent[]): readonly ReceivedEvent[] {
  if (fresh.length === all.length) return [];
  const news = new Set(fresh);
  return all.filter((one) => !news.has(one));
}

async function processAlone(options: ConsumerOptions, received: ReceivedEvent): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await process(options, [received]);
      return;
    } catch (error) {
      if (isTransient(error)) throw error;
      if (attempt >= options.attemptsMax) {
        await deadLetter(options, received.message, received.event, error, attempt);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_FIRST_MS * 2 ** attempt));
    }
  }
}

/** Puts a message aside: recorded as received, and told to the dead-letter topic with all one needs to find it. */
async function deadLetter(
  options: ConsumerOptions,
  message: ReceivedMessage,
  event: DomainEvent | undefined,
  error: unknown,
  attempts: number,
): Promise<void> {
  const { database, group } = options;
  const id = event?.eventId ?? positionId(message);
  const { topic, partition, offset, headers } = message;
  const letterId = positionId({ ...message, topic: `${group} ${topic}` });
  await withTransaction(database, async (tx) => {
    const eventType = event?.eventType ?? headers["event-type"] ?? "UNREADABLE";
    const isNew = await recordEvents(tx, group, [
      { eventId: id, eventType, message, result: "DEAD_LETTERED" },
    ]);
    if (!isNew.has(id)) return;
    appendEvents(tx, [
      {
        type: "DEAD_LETTER",
        topic: TOPICS.deadLetters.name,
        aggregateType: "dead-letter",
        aggregateId: letterId,
        aggregateVersion: 1,
        version: 1,
        correlationId: storableText(headers["correlation-id"] ?? letterId),
        causationId: id,
        data: storable({
          source: group,
          topic,
          partition,
          offset,
          key: message.key,
          ...carried(message),
          error: reasonOf(error),
          attempts,
        }),
      },
    ]);
  });
  options.onDeadLetter(message, error);
}

/**
 * Processes a message that was put aside, once more and now. To do it twice is harmless: it is processed already.
 * @throws EVENT_INVALID it still cannot be read, DEAD_LETTER_UNKNOWN this group never put it aside, and what `apply` throws
 */
export async function redrive(options: ConsumerOptions, message: ReceivedMessage): Promise<void> {
  const event = readAgain(message.value);
  await withTransaction(options.database, async (tx) => {
    // While it could not be read, its place stood for its id.
    const state = await reopenEvent(tx, options.group, [event.eventId, positionId(message)]);
    if (state === "processed") return;
    if (state === "unknown") {
      const { topic, partition, offset } = message;
      const text = "This group has not put the message aside.";
      throw new StateConflictError(text, "DEAD_LETTER_UNKNOWN", { topic, partition, offset });
    }
    const isNew = await recordEvents(tx, options.group, [rowOf({ event, message })]);
    if (isNew.size > 0 && options.types.has(event.eventType)) await options.apply(tx, [event]);
  });
}

function readAgain(value: string): DomainEvent {
  try {
    return parseEvent(value);
  } catch (error) {
    if (error instanceof EventInvalidError) throw new RuleViolationError(error.message, error.type);
    throw error;
  }
}

// A letter holds the message, escaped once more as JSON, beside what is known of it: whole, a message near the bus's
// limit would be beyond it, and the letter itself could never be published.
const CARRIED_BYTES_MAX = 256 * 1_024;
const EXCERPT_CHARACTERS = 1_024;

/** What a letter carries of its message. A large one is cut, and says so; where it stands is in the letter. */
function carried({ headers, value }: ReceivedMessage) {
  const bytes = Buffer.byteLength(JSON.stringify({ headers, value }));
  if (bytes <= CARRIED_BYTES_MAX) return { headers, value };
  const kept = Object.entries(headers).flatMap(([name, text]) =>
    text.length <= EXCERPT_CHARACTERS ? [[name, text] as const] : [],
  );
  return {
    headers: Object.fromEntries(kept.slice(0, 64)),
    value: value.slice(0, EXCERPT_CHARACTERS),
    truncated: { valueBytes: Buffer.byteLength(value), headers: Object.keys(headers).length },
  };
}

function reasonOf(error: unknown) {
  const { type, message } = factsOf(error);
  return { type, message };
}

function rowOf({ event, message }: ReceivedEvent): InboxRow {
  return { eventId: event.eventId, eventType: event.eventType, message, result: "PROCESSED" };
}

function isTransient(error: unknown): boolean {
  return isTransientDatabaseError(error) || factsOf(error).status === 503;
}
