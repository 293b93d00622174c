import type { SubscribeOptions, Subscription, SubscriptionState } from "./bus.ts";
import type { KafkaConnection } from "./kafka-client.ts";
import { KafkaIntake } from "./kafka-intake.ts";
import { heartbeatMsOf, KafkaMember } from "./kafka-member.ts";

export interface KafkaSubscriptionSetup extends Required<Omit<SubscribeOptions, "types">> {
  readonly connection: KafkaConnection;
  readonly sessionTimeoutMs: number;
}

/** Keeps a member in the group: whenever one ends, the next one is made. */
export class KafkaSubscription implements Subscription {
  readonly group: string;
  readonly #setup: KafkaSubscriptionSetup;
  readonly #intake: KafkaIntake;
  readonly #living: Promise<void>;
  #member: KafkaMember | undefined;
  #state: "running" | "stopping" | "stopped" = "running";
  #failures = 0;
  #stopped: Promise<void> | undefined;
  #endSleep: () => void = () => undefined;

  constructor(setup: KafkaSubscriptionSetup) {
    this.group = setup.group;
    this.#setup = setup;
    const { logger } = setup.connection;
    this.#intake = new KafkaIntake({ ...setup, logger, heartbeatMs: heartbeatMsOf(setup.sessionTimeoutMs) });
    this.#living = this.#live();
  }

  state(): SubscriptionState {
    if (this.#state === "stopped") return "stopped";
    if (this.#member?.hasJoined() === true) return "running";
    const isLost = this.#failures > 0 && this.#member?.isRejoining() !== true;
    return isLost ? "unreachable" : "joining";
  }

  pause(topic?: string): void {
    for (const one of topic === undefined ? this.#setup.topics : [topic]) {
      this.#intake.paused.add(one);
      this.#member?.pause(one);
    }
  }

  resume(topic?: string): void {
    for (const one of topic === undefined ? this.#setup.topics : [topic]) {
      this.#intake.paused.delete(one);
      this.#member?.resume(one);
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#state = "stopping";
    this.#endSleep();
    await this.#intake.stop();
    await this.#member?.close(5_000);
    await this.#living;
    this.#state = "stopped";
  }

  async #live(): Promise<void> {
    const { connection, sessionTimeoutMs, group, topics } = this.#setup;
    const { logger } = connection;
    while (this.#state === "running") {
      const member = new KafkaMember({ connection, group, topics, sessionTimeoutMs, intake: this.#intake });
      this.#member = member;
      const startedMs = performance.now();
      const reason = await Promise.race([member.start().then(() => member.ended, asError), member.ended]);
      if (this.#state !== "running") return;
      // A member that had lived for long has failed for a new reason.
      this.#failures = performance.now() - startedMs > 60_000 ? 1 : this.#failures + 1;
      logger[this.#failures === 1 ? "warn" : "debug"]("A Kafka consumer ended and is made anew", {
        group,
        error: reason,
      });
      await member.close(2_000);
      await this.#sleep(Math.min(2_000, 100 * 2 ** Math.min(this.#failures, 5)));
    }
  }

  async #sleep(timeMs: number): Promise<void> {
    if (this.#state !== "running") return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeMs);
      this.#endSleep = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
