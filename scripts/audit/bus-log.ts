/**
 * The bus as the audit needs it: all that stands on it, read once from the beginning to the end.
 * Everything throws BusUnreadableError.
 */
export interface BusLog {
  readonly kind: "postgres" | "kafka";
  /** Where each group goes on from. */
  committed(): Promise<CommittedOffsets>;
  topics(): Promise<readonly TopicState[]>;
  /** Shows each message that is there now, in no order. */
  read(visit: (message: LoggedMessage) => void): Promise<void>;
  close(): Promise<void>;
}

/** Only what rests on the bus goes unchecked then. */
export class BusUnreadableError extends Error {
  constructor(cause: unknown) {
    super(`the bus cannot be read: ${cause instanceof Error ? cause.message : cause}`, { cause });
    this.name = "BusUnreadableError";
  }
}

/** Next offset by group and partition, see committedKey. */
export type CommittedOffsets = ReadonlyMap<string, number>;

export const committedKey = (group: string, topic: string, partition: number) =>
  `${group} ${topic}/${partition}`;

export interface TopicState {
  readonly name: string;
  readonly retentionMs: number;
  /** Retention has deleted something: what is older than `retentionMs` may be gone. */
  readonly truncated: boolean;
}

export interface LoggedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  /** Empty when neither header nor value has one. */
  readonly eventId: string;
  /** The value, of dead letters only. */
  readonly letter: string | undefined;
}

export const DEAD_LETTER_TOPIC = "oms.dlq";
/** Topics of ours; whatever else stands on a shared Kafka is not looked at. */
export const TOPIC_NAMES = [
  "oms.orders.events",
  "oms.products.events",
  "oms.payments.events",
  "oms.saga.commands",
  DEAD_LETTER_TOPIC,
] as const;

/** The event's id in a message that carries it in its value only. */
export function eventIdIn(value: string): string {
  try {
    const parsed: unknown = JSON.parse(value);
    const id = typeof parsed === "object" && parsed !== null && "eventId" in parsed ? parsed.eventId : "";
    return typeof id === "string" ? id : "";
  } catch {
    return "";
  }
}
