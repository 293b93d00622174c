import type { EachBatchPayload, KafkaMessage } from "kafkajs";
import type { SubscribeOptions } from "./bus.ts";
import type { BusLogger } from "./bus-logger.ts";
import { receivedMessage } from "./kafka-message.ts";
import { KafkaPositions, type PositionSource } from "./kafka-positions.ts";

export interface IntakeSetup extends Required<Omit<SubscribeOptions, "types">> {
  readonly heartbeatMs: number;
  readonly logger: BusLogger;
}

/** The member that batches come from; a new one follows when kafkajs's consumer had to be replaced. */
export interface IntakeSource extends PositionSource {
  /** The group does not take its heartbeat: it is about to be assigned anew. */
  disturb(): void;
  postpone(topic: string, partition: number, delayMs: number): void;
}

/** What one partition has delivered and the handler has not had yet. */
interface Delivery {
  readonly source: IntakeSource;
  readonly generation: number;
  readonly payload: EachBatchPayload;
  readonly messages: readonly KafkaMessage[];
  taken: number;
  readonly finish: () => void;
}

interface Portion {
  readonly delivery: Delivery;
  readonly messages: readonly KafkaMessage[];
}

/**
 * Joins what kafkajs delivers per partition into one call of the handler, so that a batch shares one transaction
 * over all partitions, as on the PostgreSQL bus. Calls never overlap, whatever the number of partitions or brokers.
 */
export class KafkaIntake {
  readonly paused = new Set<string>();
  readonly #setup: IntakeSetup;
  readonly #failures = new Map<string, number>();
  #waiting: Delivery[] = [];
  #pumping: Promise<void> | undefined;
  #stopping = false;
  readonly #positions: KafkaPositions;

  constructor(setup: IntakeSetup) {
    this.#setup = setup;
    this.#positions = new KafkaPositions(setup.group, setup.logger);
  }

  /**
   * Resolves when the messages are processed, or when they are to be fetched again. Never rejects
   * for a reason of the handler's: an error that is not kafkajs's own would end the consumer for ever.
   */
  deliver(source: IntakeSource, payload: EachBatchPayload): Promise<void> {
    const { messages } = payload.batch;
    return new Promise((finish) => {
      const generation = source.generation();
      this.#waiting.push({ source, generation, payload, messages, taken: 0, finish });
      this.#pumping ??= this.#pump();
    });
  }

  /** After the batch in hand, nothing more. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#pumping;
    await this.#positions.store();
  }

  /** A member's partitions are being assigned anew: whoever has them next is to begin where it ended. */
  reassigning(): void {
    void this.#positions.store();
  }

  async #pump(): Promise<void> {
    while (this.#waiting.length > 0) {
      // kafkajs delivers all partitions of a fetch within one tick.
      await new Promise((resolve) => setImmediate(resolve));
      this.#dropUnwanted();
      const portions = this.#take();
      if (portions.length > 0) await this.#process(portions);
    }
    this.#pumping = undefined;
  }

  #dropUnwanted(): void {
    for (const delivery of this.#waiting) {
      if (this.#stopping || delivery.source.isEnding() || this.paused.has(delivery.payload.batch.topic)) {
        delivery.finish();
      }
    }
    this.#waiting = this.#waiting.filter(
      ({ source, payload }) => !this.#stopping && !source.isEnding() && !this.paused.has(payload.batch.topic),
    );
  }

  /** One partition that has failed, alone; or what fits of all the others. */
  #take(): Portion[] {
    const failed = this.#waiting.find((delivery) => this.#failures.has(nameOf(delivery)));
    const from = failed === undefined ? this.#waiting : [failed];
    let room = this.#setup.batchSizeMax;
    const portions: Portion[] = [];
    for (const delivery of from) {
      const messages = delivery.messages.slice(delivery.taken, delivery.taken + room);
      room -= messages.length;
      if (messages.length > 0) portions.push({ delivery, messages });
    }
    return portions;
  }

  async #process(portions: readonly Portion[]): Promise<void> {
    const { handler, heartbeatMs, logger, group } = this.#setup;
    const deliveries = portions.map(({ delivery }) => delivery);
    const beat = () => heartbeat(deliveries);
    const beating = setInterval(() => void beat(), heartbeatMs);
    const messages = portions.flatMap(({ delivery, messages }) =>
      messages.map((message) => receivedMessage(delivery.payload.batch, message)),
    );
    try {
      await handler(messages, {
        heartbeat: beat,
        isStale: () => this.#stopping || deliveries.some(({ source }) => source.isEnding()),
      });
    } catch (error) {
      this.#postpone(portions);
      logger.warn("The handler could not take a batch now: it comes again", {
        group,
        messages: messages.length,
        error,
      });
      return;
    } finally {
      clearInterval(beating);
    }
    await this.#note(portions);
    // kafkajs itself beats only between fetches, and one fetch may be hundreds of batches.
    await beat();
  }

  /** As on the PostgreSQL bus: each partition comes again alone after its own back-off, the others go on. */
  #postpone(portions: readonly Portion[]): void {
    const { retryDelayMs, retryDelayMaxMs } = this.#setup;
    for (const { delivery } of portions) {
      const { topic, partition } = delivery.payload.batch;
      const failures = this.#failures.get(nameOf(delivery)) ?? 0;
      this.#failures.set(nameOf(delivery), failures + 1);
      const delayMs = Math.min(retryDelayMaxMs, retryDelayMs * 2 ** Math.min(failures, 20));
      delivery.source.postpone(topic, partition, delayMs);
      this.#end(delivery);
    }
  }

  async #note(portions: readonly Portion[]): Promise<void> {
    for (const { delivery, messages } of portions) {
      const { source, generation, payload } = delivery;
      const last = messages.at(-1)?.offset ?? "0";
      this.#failures.delete(nameOf(delivery));
      delivery.taken += messages.length;
      payload.resolveOffset(last);
      this.#positions.note(source, generation, payload, BigInt(last) + 1n);
    }
    // kafkajs waits for what it has delivered before it joins anew, and whoever is next begins where this one ended.
    if (portions.some(({ delivery }) => delivery.source.isEnding())) await this.#positions.store();
    for (const { delivery } of portions) if (delivery.taken >= delivery.messages.length) this.#end(delivery);
  }

  #end(delivery: Delivery): void {
    this.#waiting = this.#waiting.filter((one) => one !== delivery);
    delivery.finish();
  }
}

/** After these kafkajs joins anew, and what it has delivered will be delivered again. */
const REASSIGNING = new Set([
  "REBALANCE_IN_PROGRESS",
  "ILLEGAL_GENERATION",
  "UNKNOWN_MEMBER_ID",
  "NOT_COORDINATOR_FOR_GROUP",
]);

/** kafkajs sends it only when one is due; a failure meets kafkajs as well, at its own next beat. */
async function heartbeat(deliveries: readonly Delivery[]): Promise<void> {
  const [first] = deliveries;
  try {
    await first?.payload.heartbeat();
  } catch (error) {
    const type = typeof error === "object" && error !== null && "type" in error ? String(error.type) : "";
    if (REASSIGNING.has(type)) first?.source.disturb();
  }
}

function nameOf({ payload }: Delivery): string {
  return `${payload.batch.topic}/${payload.batch.partition}`;
}
