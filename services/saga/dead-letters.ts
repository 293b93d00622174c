import type { ReceivedMessage } from "../../lib/bus/bus.ts";
import type { Reason } from "../../lib/events.ts";
import { TOPICS } from "../../lib/events.ts";
import type { DeadLetterDetails, DeadLetterView } from "../../lib/operator-contracts.ts";
import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import { storable, storableText } from "../../lib/storable.ts";
import { positionId } from "../../mixins/inbox.store.ts";

/** What stands in a dead letter, whoever wrote it: pure. */

export type LetterData = Readonly<Record<string, unknown>>;

export interface Letter {
  readonly eventId: string;
  readonly source: string;
  readonly topic: string;
  readonly eventType: string;
  readonly correlationId: string;
  readonly error: Reason;
  readonly attempts: number;
  readonly at: string;
  readonly data: LetterData;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Reads a message of the dead-letter topic. What is none of our letters is shown as one, of source "unknown". */
export function readLetter(message: ReceivedMessage): Letter {
  const envelope = objectIn(message.value);
  const data = recordOf(envelope.data);
  const headers = recordOf(data.headers);
  const { source, topic, error, attempts } = data;
  return {
    eventId:
      typeof envelope.eventId === "string" && UUID.test(envelope.eventId)
        ? envelope.eventId
        : positionId(message),
    source: text(source, 255) || "unknown",
    topic: text(topic, 255) || "unknown",
    eventType: text(data.eventType ?? headers["event-type"], 255) || "unknown",
    correlationId: text(envelope.correlationId, 255),
    error: errorOf(error),
    attempts: Number.isSafeInteger(attempts) && Number(attempts) > 0 ? Math.min(Number(attempts), 1e9) : 1,
    at: new Date(message.timestampMs).toISOString(),
    data: storable(data),
  };
}

function errorOf(error: unknown): Reason {
  if (typeof error === "string") return { code: "MESSAGE_REFUSED", message: text(error, 1_000) };
  const { type, message } = recordOf(error);
  return { code: text(type, 100) || "UNKNOWN", message: text(message, 1_000) };
}

export type Delivery =
  | { readonly kind: "message"; readonly service: DatabaseName; readonly message: ReceivedMessage }
  | { readonly kind: "event"; readonly service: DatabaseName; readonly position: number }
  | { readonly kind: "impossible"; readonly error: Reason };

/** How what a letter tells of is delivered again. */
export function deliveryOf({ source, data, at }: Pick<Letter, "source" | "data" | "at">): Delivery {
  const service = serviceOf(source, data);
  if (service === undefined)
    return impossible("SOURCE_UNKNOWN", "No service of ours has written this letter.");
  const { topic, partition, offset, key, value, headers, position, truncated } = data;
  if (source === "outbox") {
    if (Number.isSafeInteger(position)) return { kind: "event", service, position: Number(position) };
    return impossible("LETTER_INCOMPLETE", "The letter does not say which event it is about.");
  }
  if (truncated !== undefined) {
    const where = `${text(topic, 255)}, partition ${partition}, offset ${offset}`;
    return impossible("LETTER_TRUNCATED", `The message was too large for its letter; it stands at ${where}.`);
  }
  const isWhole = typeof topic === "string" && typeof key === "string" && typeof value === "string";
  if (!isWhole || !Number.isSafeInteger(partition)) {
    return impossible("LETTER_INCOMPLETE", "The letter does not hold the whole message.");
  }
  const place = { topic, partition: Number(partition), offset: String(offset), key };
  const timestampMs = Date.parse(at);
  return { kind: "message", service, message: { ...place, value, headers: textsOf(headers), timestampMs } };
}

const PUBLISHERS: Readonly<Record<string, DatabaseName>> = {
  [TOPICS.orders.name]: "order",
  [TOPICS.products.name]: "product",
  [TOPICS.payments.name]: "payment",
  [TOPICS.sagaCommands.name]: "saga",
};

/** The message that a letter carries, as far as it is of the form that ours have. */
export function messageIn(data: LetterData): Omit<DeadLetterDetails, keyof DeadLetterView> {
  const { partition, offset, key, value, headers, position, truncated } = data;
  return {
    ...(Number.isSafeInteger(partition) && { partition: Number(partition) }),
    ...((typeof offset === "string" || typeof offset === "number") && { offset: String(offset) }),
    ...(typeof key === "string" && { key }),
    ...(typeof value === "string" && { value }),
    ...(headers !== undefined && { headers: textsOf(headers) }),
    ...(Number.isSafeInteger(position) && { position: Number(position) }),
    ...(truncated !== undefined && { truncated: true }),
  };
}

function serviceOf(source: string, { service, topic }: LetterData): DatabaseName | undefined {
  const named = source === "outbox" ? service : /^(\w+)-service-group$/.exec(source)?.[1];
  const found = DATABASE_NAMES.find((name) => name === named);
  return found ?? (source === "outbox" ? PUBLISHERS[String(topic)] : undefined);
}

function impossible(code: string, message: string): Delivery {
  return { kind: "impossible", error: { code, message } };
}

function objectIn(value: string): LetterData {
  try {
    return recordOf(JSON.parse(value));
  } catch {
    // Whoever can write to the topic can write anything.
    return {};
  }
}

function recordOf(value: unknown): LetterData {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as LetterData) : {};
}

function textsOf(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(recordOf(value)).flatMap(([name, one]) => (typeof one === "string" ? [[name, one]] : [])),
  );
}

function text(value: unknown, max: number): string {
  return typeof value === "string" ? storableText(value.slice(0, max)) : "";
}
