import type { EachBatchPayload } from "kafkajs";
import type { BusLogger } from "./bus-logger.ts";

/** The member that a position was reached by. */
export interface PositionSource {
  /** Its partitions are about to be assigned anew, or it is given up. */
  isEnding(): boolean;
  /** How often it has joined: what it was assigned before may be another's now, and that one further on. */
  generation(): number;
}

/** How long what has been handled may stay unknown to Kafka. A crash delivers it again, and the inbox knows it (ADR 13). */
const STORED_EVERY_MS = 50;
/** An outage is not asked twenty times a second; what is handled meanwhile asks no sooner. */
const RETRIED_AFTER_MS = 500;

interface Reached {
  readonly generation: number;
  /** Any batch that the member was given: through it kafkajs takes positions. */
  readonly payload: EachBatchPayload;
  readonly byTopic: ReadonlyMap<string, ReadonlyMap<number, bigint>>;
}

/**
 * How far a group has come. Stored behind the handler's back and for all its batches of 50 ms at once: a batch does not
 * wait for Kafka's answer, and a group that handles forty batches a second asks twenty times. kafkajs would store under
 * the member's present generation whatever it is given, so positions are of the one they were reached in.
 */
export class KafkaPositions {
  readonly #logger: BusLogger;
  readonly #group: string;
  readonly #reached = new Map<PositionSource, Reached>();
  #timer: NodeJS.Timeout | undefined;
  #storing: Promise<void> = Promise.resolve();

  constructor(group: string, logger: BusLogger) {
    this.#group = group;
    this.#logger = logger;
  }

  /** Everything before `next` has been handled in the partition of a batch that was delivered in this generation. */
  note(source: PositionSource, generation: number, payload: EachBatchPayload, next: bigint): void {
    const { topic, partition } = payload.batch;
    this.#add(source, { generation, payload, byTopic: new Map([[topic, new Map([[partition, next]])]]) });
    this.#storeIn(STORED_EVERY_MS);
  }

  /** Stores what is known now. Never rejects: what could not be stored is so with the next. */
  store(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const before = this.#storing;
    const reached = [...this.#reached];
    this.#reached.clear();
    this.#storing = (async () => {
      await before;
      for (const [source, one] of reached) {
        if (one.generation === source.generation()) await this.#storeOf(source, one);
      }
    })();
    return this.#storing;
  }

  async #storeOf(source: PositionSource, reached: Reached): Promise<void> {
    const topics = [...reached.byTopic].map(([topic, partitions]) => ({
      topic,
      partitions: [...partitions].map(([partition, next]) => ({ partition, offset: String(next) })),
    }));
    try {
      await reached.payload.commitOffsetsIfNecessary({ topics });
    } catch (error) {
      this.#logger.debug("Kafka did not take a group's positions", { group: this.#group, error });
      if (source.isEnding()) return;
      const since = this.#reached.get(source);
      this.#reached.set(source, reached);
      if (since) this.#add(source, since);
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#storeIn(RETRIED_AFTER_MS);
    }
  }

  #storeIn(timeMs: number): void {
    this.#timer ??= setTimeout(() => void this.store(), timeMs);
  }

  /** Later ones take the place of earlier ones. */
  #add(source: PositionSource, later: Reached): void {
    const { generation, payload, byTopic } = later;
    if (generation !== source.generation()) return;
    const known = this.#reached.get(source);
    const merged = new Map(known?.generation === generation ? known.byTopic : []);
    for (const [topic, partitions] of byTopic) {
      merged.set(topic, new Map([...(merged.get(topic) ?? []), ...partitions]));
    }
    this.#reached.set(source, { generation, payload, byTopic: merged });
  }
}
