/**
 * The bus port: what Holdfast needs of an event log, and no more. Two adapters stand behind it
 * (kafka-bus.ts, postgres-bus.ts) and one contract suite holds both to the same behaviour.
 */

/** A message to be appended. `value` is JSON text: whoever has it as text must not parse it again. */
export interface BusMessage {
  readonly topic: string;
  /** Messages with one key land in one partition, in the order they were published. */
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ReceivedMessage extends BusMessage {
  readonly partition: number;
  /** Position in the partition, a decimal string as Kafka has it. */
  readonly offset: string;
  /** When the broker took it, milliseconds since the epoch. */
  readonly timestampMs: number;
}

export interface BatchControls {
  /** Keeps the group membership alive in a long batch. */
  heartbeat(): Promise<void>;
  /** True once the member stops or has lost a partition of this batch: finish nothing new. */
  isStale(): boolean;
}

/**
 * Gets messages in partition order; a batch may span partitions. Resolving means "its effects are durable":
 * only then are the offsets committed. Throwing means "not now": the same messages come again, after a
 * back-off, in the same order. A message that can never be processed is the handler's to put aside.
 */
export type BatchHandler = (messages: readonly ReceivedMessage[], controls: BatchControls) => Promise<void>;

export interface SubscribeOptions {
  readonly group: string;
  readonly topics: readonly string[];
  /** What the handler acts on, by the header `event-type`. Messages of other types may be left out; those of none come. */
  readonly types?: readonly string[];
  /** At most this many messages reach the handler at once. */
  readonly batchSizeMax: number;
  readonly handler: BatchHandler;
  /** First wait after a handler threw; doubles up to `retryDelayMaxMs`. */
  readonly retryDelayMs?: number;
  readonly retryDelayMaxMs?: number;
}

export type SubscriptionState = "joining" | "running" | "unreachable" | "stopped";

export interface Subscription {
  readonly group: string;
  state(): SubscriptionState;
  pause(topic?: string): void;
  resume(topic?: string): void;
  /** Lets the batch in hand finish, commits it, leaves the group. Idempotent. */
  stop(): Promise<void>;
}

export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  /** Messages in the partition that the group has not committed. */
  readonly lag: number;
}

export interface TopicDefinition {
  readonly name: string;
  readonly partitions: number;
  readonly retentionMs: number;
}

export interface Bus {
  readonly kind: "kafka" | "postgres";
  /** Appends all, in order per key, and resolves when every one is durable on the broker. Throws
   *  BusUnavailableError (the broker's fault, try again later), TopicMissingError (the same, of some topics alone) or
   *  MessageRefusedError (that message's fault). */
  publish(messages: readonly BusMessage[]): Promise<void>;
  /** Joins a consumer group; a new group begins at the beginning of each topic. */
  subscribe(options: SubscribeOptions): Promise<Subscription>;
  lag(group: string, topics: readonly string[]): Promise<PartitionLag[]>;
  /** Creates what is missing, idempotent, safe when many processes start at once. */
  ensureTopics(topics: readonly TopicDefinition[]): Promise<void>;
  describeTopics(names: readonly string[]): Promise<TopicDefinition[]>;
  /** A real round trip. Throws BusUnavailableError. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The broker cannot be reached or did not answer in time. Never counts against an event. */
export class BusUnavailableError extends Error {
  /** Read by factsOf, as on Moleculer's own errors. */
  readonly code = 503;
  readonly type = "BUS_UNAVAILABLE";
  readonly retryable = true;
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "BusUnavailableError";
  }
}

/**
 * The broker answers and lacks a topic: an outage of that topic, for whoever sees to it may create it at any time. Nothing
 * of the call was appended.
 */
export class TopicMissingError extends BusUnavailableError {
  readonly topics: readonly string[];
  constructor(topics: readonly string[]) {
    super(`there is no topic ${topics.join(", ")}`);
    this.name = "TopicMissingError";
    this.topics = topics;
  }
}

/** The broker took the connection but refuses this message (too large, invalid). */
export class MessageRefusedError extends Error {
  readonly code = 422;
  readonly type = "MESSAGE_REFUSED";
  readonly retryable = false;
  /** Index in the published array; every message before it may or may not have been appended. */
  readonly index: number;
  constructor(message: string, index: number, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "MessageRefusedError";
    this.index = index;
  }
}
