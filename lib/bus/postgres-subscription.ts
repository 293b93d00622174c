import type { Database } from "../database.ts";
import type { SubscribeOptions, Subscription, SubscriptionState } from "./bus.ts";
import type { BusLogger } from "./bus-logger.ts";
import { NearMessages } from "./near-messages.ts";
import { Membership } from "./postgres-membership.ts";
import { type Batch, PartitionReader } from "./postgres-reader.ts";
import { onWake } from "./wake-ups.ts";

export interface SubscriptionSetup
  extends Required<Omit<SubscribeOptions, "types">>,
    Pick<SubscribeOptions, "types"> {
  readonly database: Database;
  /** Where publishers of this process leave their wake-ups. */
  readonly place: string;
  readonly process: string;
  readonly leaseMs: number;
  readonly pollMinMs: number;
  readonly pollMaxMs: number;
  readonly logger: BusLogger;
}

/** One member of a group: fetches for all its partitions at once, hands over, commits, again. */
export class PostgresSubscription implements Subscription {
  readonly group: string;
  readonly #setup: SubscriptionSetup;
  readonly #membership: Membership;
  readonly #reader: PartitionReader;
  readonly #near: NearMessages;
  readonly #unlisten: () => void;
  readonly #looping: Promise<void>;
  #state: "running" | "stopping" | "stopped" = "running";
  #stopped: Promise<void> | undefined;
  #outages = 0;
  #pollMs: number;
  #wakes = 0;
  /** The wake-ups that the latest fetch has answered. */
  #answered = 0;
  #endSleep: () => void = () => undefined;

  constructor(setup: SubscriptionSetup) {
    this.group = setup.group;
    this.#setup = setup;
    this.#pollMs = setup.pollMinMs;
    this.#membership = new Membership({ ...setup, onBeat: (error) => this.#onBeat(error) });
    this.#near = new NearMessages(setup.place, this.#membership.owned, setup.types);
    this.#reader = new PartitionReader({
      ...setup,
      near: this.#near,
      membership: this.#membership,
      onFetch: () => {
        this.#answered = this.#wakes;
      },
    });
    this.#unlisten = onWake(setup.place, setup, () => this.#wake());
    this.#membership.start();
    this.#looping = this.#loop();
  }

  state(): SubscriptionState {
    if (this.#state === "stopped") return "stopped";
    if (this.#outages > 0) return "unreachable";
    return this.#membership.hasJoined() ? "running" : "joining";
  }

  pause(topic?: string): void {
    for (const one of topic === undefined ? this.#setup.topics : [topic]) this.#reader.paused.add(one);
    this.#reader.discard();
  }

  resume(topic?: string): void {
    if (topic === undefined) this.#reader.paused.clear();
    else this.#reader.paused.delete(topic);
    this.#wake();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#state = "stopping";
    this.#unlisten();
    this.#near.close();
    this.#wake();
    await this.#looping;
    const leave = () => this.#membership.leave();
    await this.#reader
      .commit()
      .then(leave, leave)
      .catch((error: unknown) => {
        const facts = { group: this.group, error };
        this.#setup.logger.warn("The bus could not leave its group: the lease has to run out", facts);
      });
    this.#state = "stopped";
  }

  async #loop(): Promise<void> {
    while (this.#state === "running") {
      try {
        await this.#pass();
      } catch (error) {
        this.#reader.discard();
        this.#reportOutage(error);
        this.#answered = this.#wakes;
        await this.#sleep(Math.min(1_000, 50 * 2 ** Math.min(this.#outages, 5)));
      }
    }
  }

  async #pass(): Promise<void> {
    // What the last commit could not store.
    await this.#reader.commitDue();
    if (this.#membership.needsSettling()) {
      // Before anything changes hands.
      await this.#reader.commit();
      this.#reader.discard();
      await this.#membership.settle();
    }
    if (!this.#membership.isValid()) {
      this.#reader.discard();
      this.#answered = this.#wakes;
      return await this.#sleep(this.#setup.pollMaxMs);
    }
    const batch = await this.#reader.next();
    this.#outages = 0;
    if (batch.messages.length > 0) {
      this.#pollMs = this.#setup.pollMinMs;
      return await this.#handle(batch);
    }
    if (batch.ends.size > 0) {
      this.#reader.succeeded(batch);
      this.#pollMs = this.#setup.pollMinMs;
      if (batch.isFull) return;
    }
    await this.#sleep(Math.min(this.#pollMs, this.#reader.retryInMs()));
    this.#pollMs = Math.min(this.#setup.pollMaxMs, this.#pollMs * 1.5);
  }

  async #handle(batch: Batch): Promise<void> {
    const { handler } = this.#setup;
    // Reading ahead pays while there is a backlog; otherwise it would only make the next batch smaller.
    if (batch.isFull) this.#reader.readAhead();
    try {
      await handler(batch.messages, {
        heartbeat: async () => this.#membership.wake(),
        isStale: () => this.#isStale(batch),
      });
    } catch (error) {
      this.#reader.postpone(batch);
      const facts = { group: this.group, messages: batch.messages.length, error };
      this.#setup.logger.warn("The handler could not take a batch now: it comes again", facts);
      return;
    }
    this.#reader.succeeded(batch);
    if (!batch.isNear) this.#reader.readAhead();
    await this.#reader.commitDue();
  }

  #isStale(batch: Batch): boolean {
    if (this.#state !== "running" || !this.#membership.isValid()) return true;
    return [...batch.ends.keys()].some((partition) => partition.lost);
  }

  #onBeat(error: unknown): void {
    if (error !== undefined) this.#reportOutage(error);
    else if (this.#membership.needsSettling() || this.#outages > 0) this.#wake();
  }

  #reportOutage(error: unknown): void {
    this.#outages += 1;
    const log = this.#outages === 1 ? "warn" : "debug";
    this.#setup.logger[log]("The bus cannot be reached: consumers wait", { group: this.group, error });
  }

  #wake(): void {
    this.#wakes += 1;
    this.#endSleep();
  }

  /** Sleeps until woken or until the time has passed; not at all when a wake-up is still unanswered. */
  async #sleep(timeMs: number): Promise<void> {
    if (this.#wakes !== this.#answered || this.#state !== "running" || timeMs <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeMs);
      this.#endSleep = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#endSleep = () => undefined;
  }
}
