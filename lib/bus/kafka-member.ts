import type { Consumer } from "kafkajs";
import { createKafkaClient, type KafkaClient, type KafkaConnection, within } from "./kafka-client.ts";
import type { IntakeSource, KafkaIntake } from "./kafka-intake.ts";

export interface MemberSetup {
  readonly connection: KafkaConnection;
  readonly group: string;
  readonly topics: readonly string[];
  readonly intake: KafkaIntake;
  readonly sessionTimeoutMs: number;
}

/**
 * By the answer a member hears that the group is being assigned anew, and all of them wait for the last to hear it: twelve
 * in a session, not the usual three to five, for what a death has interrupted waits as well.
 */
export const heartbeatMsOf = (sessionTimeoutMs: number) => sessionTimeoutMs / 12;

/**
 * One life of a kafkajs consumer. It ends when kafkajs says so (CRASH), when it gives no sign of life any more, or
 * when we stop; whoever wants to go on makes a new one.
 */
export class KafkaMember implements IntakeSource {
  readonly #setup: MemberSetup;
  readonly #client: KafkaClient;
  readonly #consumer: Consumer;
  readonly #watch: NodeJS.Timeout;
  #signOfLifeMs = performance.now();
  #generation = 0;
  #joined = false;
  #rejoining = false;
  #ended = false;
  #end: (reason: Error) => void = () => undefined;
  /** Resolves with the reason when this member is of no use any more. */
  readonly ended: Promise<Error>;

  constructor(setup: MemberSetup) {
    this.#setup = setup;
    const { sessionTimeoutMs } = setup;
    this.ended = new Promise((resolve) => {
      this.#end = (reason) => {
        this.#ended = true;
        resolve(reason);
      };
    });
    this.#client = createKafkaClient(setup.connection);
    this.#consumer = this.#client.kafka.consumer({
      groupId: setup.group,
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: heartbeatMsOf(sessionTimeoutMs),
      rebalanceTimeout: 30_000,
      // The broker answers at once when there is something; this only bounds an empty fetch, and so each stop.
      maxWaitTimeInMs: 50,
      metadataMaxAge: 60_000,
      allowAutoTopicCreation: false,
      // Its own restart waits for a disconnect that may hang, and then nobody hears of it.
      retry: {
        initialRetryTime: 100,
        maxRetryTime: 1_000,
        retries: 5,
        restartOnFailure: async () => false,
      },
    });
    this.#observe();
    this.#watch = setInterval(() => {
      // Twice the session: the group has long gone on without this member.
      const silentMs = performance.now() - this.#signOfLifeMs;
      if (silentMs > 2 * sessionTimeoutMs) this.#end(new Error(`no sign of life for ${silentMs | 0} ms`));
    }, sessionTimeoutMs / 5);
  }

  /** Connects and joins; what fails later shows in `ended`. */
  async start(): Promise<void> {
    const { topics, intake } = this.#setup;
    await this.#consumer.connect();
    await this.#consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      // All partitions at once: the intake makes one batch of what they deliver.
      partitionsConsumedConcurrently: 100,
      eachBatch: (payload) => (this.#ended ? Promise.resolve() : intake.deliver(this, payload)),
    });
    for (const topic of intake.paused) this.pause(topic);
  }

  hasJoined(): boolean {
    return this.#joined && !this.#ended;
  }

  /** It was in the group and is not now, since the partitions are being assigned anew. */
  isRejoining(): boolean {
    return this.#rejoining && !this.#ended;
  }

  isEnding(): boolean {
    return !this.hasJoined();
  }

  generation(): number {
    return this.#generation;
  }

  disturb(): void {
    this.#rejoin();
  }

  pause(topic: string): void {
    this.#attempt(() => this.#consumer.pause([{ topic }]));
  }

  resume(topic: string): void {
    this.#attempt(() => this.#consumer.resume([{ topic }]));
  }

  postpone(topic: string, partition: number, delayMs: number): void {
    const { paused } = this.#setup.intake;
    // kafkajs forgets that the whole topic is paused when one of its partitions is.
    if (paused.has(topic)) return;
    const partitions = [{ topic, partitions: [partition] }];
    this.#attempt(() => this.#consumer.pause(partitions));
    const resuming = setTimeout(() => {
      if (!this.#ended && !paused.has(topic)) this.#attempt(() => this.#consumer.resume(partitions));
    }, delayMs);
    resuming.unref();
  }

  /** Leaves the group if kafkajs manages to within the time given, and is gone in any case. */
  async close(timeMs: number): Promise<void> {
    this.#end(new Error("stopped"));
    clearInterval(this.#watch);
    const leaving = this.#consumer.disconnect();
    this.#setup.connection.remains.add(leaving);
    await within(timeMs, "leaving the group", leaving).catch(() => undefined);
    this.#client.sever();
  }

  #observe(): void {
    const { HEARTBEAT, FETCH, GROUP_JOIN, REBALANCING, CRASH } = this.#consumer.events;
    const alive = () => {
      this.#signOfLifeMs = performance.now();
    };
    this.#consumer.on(HEARTBEAT, alive);
    this.#consumer.on(FETCH, alive);
    this.#consumer.on(GROUP_JOIN, () => {
      alive();
      this.#generation += 1;
      this.#joined = true;
      this.#rejoining = false;
    });
    this.#consumer.on(REBALANCING, () => this.#rejoin());
    this.#consumer.on(CRASH, ({ payload }) => this.#end(payload.error));
  }

  #rejoin(): void {
    this.#joined = false;
    this.#rejoining = true;
    this.#setup.intake.reassigning();
  }

  /** Before and after its life kafkajs refuses such requests by throwing; they mean nothing then. */
  #attempt(request: () => void): void {
    try {
      request();
    } catch (error) {
      this.#setup.connection.logger.debug("A consumer was not there to be paused or resumed", { error });
    }
  }
}
