import type { ReceivedMessage } from "../../../lib/bus/bus.ts";
import { type Database, type Tx, withTransaction } from "../../../lib/database.ts";
import { EVENTS, TOPICS } from "../../../lib/events.ts";
import { type ConsumerOptions, consume } from "../../../mixins/inbox-consumer.ts";
import { appendEvents } from "../../../mixins/outbox.store.ts";
import { createRelay, type Relay } from "../../../mixins/outbox-relay.ts";
import { Group } from "../model-bus.ts";
import { ModelDatabase } from "../model-database.ts";
import type { Mutation } from "../mutations.ts";
import { type Process, type Scheduler, Violation } from "../scheduler.ts";
import type { Simulated } from "../simulated.ts";
import { ModelBroker, UNPUBLISHABLE } from "./broker.ts";
import { connect } from "./connection.ts";
import { type Delivery, MessageTables } from "./tables.ts";

/**
 * Outbox, relays and inbox of one service in several replicas: the production code from the append to the effect, over
 * modelled tables and a modelled broker.
 */

const LOCK = { name: "simulation_lock", text: "" };
const EFFECT = { name: "simulation_effect", text: "" };
const UNACCEPTABLE = "unacceptable";
const GROUP = "test-group";

interface Replica {
  readonly process: Process;
  readonly database: Database;
  readonly relay: Relay;
  readonly consumer: ConsumerOptions;
}

export class MessageWorld implements Simulated {
  private readonly scheduler: Scheduler;
  private readonly database: ModelDatabase;
  private readonly tables: MessageTables;
  private readonly broker: ModelBroker;
  private readonly replicas: (Replica | undefined)[] = [];
  private readonly broken: string[] = [];
  private readonly pollMs: number;
  private readonly batchSize: number;
  private writing = 0;
  private starts = 0;

  constructor(scheduler: Scheduler, healsAtMs: number, mutation?: Mutation) {
    this.scheduler = scheduler;
    const random = scheduler.random.at("scene");
    this.database = new ModelDatabase(scheduler);
    this.tables = new MessageTables(random.chance(0.5) ? 1 : 700, mutation);
    const topic = random.chance(0.5) ? TOPICS.orders.name : TOPICS.deadLetters.name;
    this.broker = new ModelBroker(scheduler, {
      topic,
      untilMs: random.chance(0.3) ? healsAtMs * random.next() : 0,
    });
    this.pollMs = random.chance(0.5) ? 500 : 2_000;
    this.batchSize = random.chance(0.5) ? 3 : 100;
    const replicas = random.between(1, 3);
    for (let index = 0; index < replicas; index += 1) this.start(index);
    new Group("consumers", this.broker, scheduler, {
      member: () => this.any("members")?.process ?? "nobody",
      handle: (messages, member) => this.handle(messages, member),
    });
    const writes = random.between(1, 8);
    for (let nth = 0; nth < writes; nth += 1) this.write(random.between(0, 4_000));
  }

  get areDone(): boolean {
    return this.writing === 0;
  }

  isAtRest(): boolean {
    const open = [...this.tables.deliveries.values()].some(
      (one) => one.status === "PENDING" && !this.tables.isBehindFailed(one),
    );
    return !open && this.broker.groups.every((group) => group.isAtEnd());
  }

  check(): void {
    const [message] = this.broken;
    if (message !== undefined) throw new Violation(message);
  }

  atRest(): void {
    const all = [...this.tables.deliveries.values()];
    const letters = all.filter(({ type }) => type === "DEAD_LETTER");
    const aboutOf = ({ headers }: (typeof all)[number]) => headers["causation-id"];
    const told = new Set(letters.map(aboutOf));
    for (const delivery of all) {
      const { id, status, type, payload } = delivery;
      const name = nameOf(delivery);
      const isOut = this.broker.published.has(id);
      if (status === "PUBLISHED" && !isOut) this.broken.push(`${name} is marked, and was never published`);
      if (status === "FAILED" && type !== "DEAD_LETTER" && !told.has(id))
        this.broken.push(`no letter tells of ${name}`);
      if (type === "DEAD_LETTER" || !isOut) continue;
      const expected = payload.includes(UNACCEPTABLE) ? 0 : 1;
      const effects = this.tables.effects.get(id) ?? 0;
      if (effects !== expected) this.broken.push(`${name} had its effect ${effects} times, not ${expected}`);
      if (expected === 0 && !told.has(id)) this.broken.push(`${name} was refused, and no letter tells of it`);
    }
    const committed = new Set(all.map(({ id }) => id));
    for (const id of this.broker.published) {
      if (!committed.has(id)) this.broken.push("an event was published, and never committed");
    }
    const causes = letters.map(aboutOf);
    if (new Set(causes).size < causes.length) this.broken.push("two letters tell of one event");
  }

  unended(): string[] {
    const open = [...this.tables.deliveries.values()].filter(
      (one) => one.status === "PENDING" && !this.tables.isBehindFailed(one),
    );
    return [
      ...open.map((delivery) => `${nameOf(delivery)} waits`),
      ...(this.broker.groups.every((group) => group.isAtEnd()) ? [] : ["the consumers are behind"]),
    ];
  }

  private any(site: string): Replica | undefined {
    const running = this.replicas.flatMap((replica) => (replica?.process.alive ? [replica] : []));
    return running[this.scheduler.random.at(site).between(0, running.length - 1)];
  }

  private start(index: number): void {
    const { random } = this.scheduler;
    this.starts += 1;
    const owner = `relay ${this.starts}`;
    const process: Process = {
      name: `replica ${index + 1}`,
      alive: true,
      pausedUntilMs: 0,
      skewMs: 0,
      onCrash: () => {
        this.database.lose(process);
        this.replicas[index] = undefined;
        this.scheduler.post("replica starts", random.at("restarts").between(20, 6_000), () =>
          this.start(index),
        );
      },
    };
    this.scheduler.post("replica runs", 0, () => this.open(index, process, owner), process);
  }

  private open(index: number, process: Process, owner: string): void {
    const database = connect(this.database, this.tables, process);
    const relay = createRelay({
      database,
      bus: this.broker.busOf(process),
      service: "test",
      owner,
      pollMs: this.pollMs,
      batchSize: this.batchSize,
      leaseMs: 5_000,
      onPublished: () => undefined,
      onFailed: () => undefined,
      onTopicMissing: () => undefined,
      onError: (error) => this.expectPassing("the relay", error),
    });
    const consumer: ConsumerOptions = {
      database,
      group: GROUP,
      types: new Set(["ORDER_COMPLETED"]),
      attemptsMax: 3,
      apply: async (tx, events) => {
        if (events.some(({ data }) => "customerId" in data && data.customerId === UNACCEPTABLE)) {
          throw new Error(UNACCEPTABLE);
        }
        await tx.query(EFFECT, [events.map(({ eventId }) => eventId)]);
      },
      onProcessed: () => undefined,
      onDeadLetter: () => undefined,
    };
    this.replicas[index] = { process, database, relay, consumer };
    relay.start();
  }

  private async handle(messages: readonly ReceivedMessage[], member: Process | undefined): Promise<void> {
    const replica = this.replicas.find((one) => one?.process === member);
    if (!replica) return;
    await consume(replica.consumer, messages).catch((error: unknown) => {
      this.expectPassing("a consumer", error);
      throw error;
    });
    // A dead letter has been appended, perhaps.
    replica.relay.wake();
  }

  /** A change of one or two aggregates, with what it tells; some come to nothing. */
  private write(delayMs: number): void {
    const random = this.scheduler.random.at("writes");
    this.writing += 1;
    const aggregates = [...new Set([random.between(1, 4), random.between(1, 4)])].sort();
    const events = random.between(1, 3);
    const customerId = random.chance(0.04) ? UNPUBLISHABLE : random.chance(0.04) ? UNACCEPTABLE : "customer";
    const fails = random.chance(0.1);
    this.scheduler.post("a change", delayMs, () => {
      this.writing -= 1;
      const replica = this.any("writers");
      if (!replica) return;
      const { database, relay, process } = replica;
      const change = async (tx: Tx) => {
        for (const number of aggregates) await tell(tx, relay, aggregateOf(number), events, customerId);
        if (fails) throw new Error("changed its mind");
      };
      const run = () => withTransaction(database, change).catch(() => undefined);
      this.scheduler.post("writes", 0, run, process);
    });
  }

  private expectPassing(who: string, error: unknown): void {
    const { type, retryable, code } = error as { type?: string; retryable?: boolean; code?: unknown };
    // One of those before a refused message may be refused as well, once they are published by themselves.
    if (type === "MESSAGE_REFUSED") return;
    if (retryable !== true && code !== "55P03") this.broken.push(`${who} fails: ${type ?? String(error)}`);
  }
}

/** Without its id, which the time of day is part of. */
const nameOf = ({ type, version, aggregateId }: Delivery) =>
  type === "DEAD_LETTER" ? "a dead letter" : `${type} ${version} of ${aggregateId}`;

const aggregateOf = (number: number) => `0198a000-0000-7000-8000-00000000000${(number * 3).toString(16)}`;

async function tell(
  tx: Tx,
  relay: Relay,
  aggregateId: string,
  count: number,
  customerId: string,
): Promise<void> {
  const [row] = await tx.query<{ version: number }>(LOCK, [aggregateId]);
  const first = row?.version ?? 1;
  const { topic, aggregateType, version } = EVENTS.ORDER_COMPLETED;
  const events = Array.from({ length: count }, (_, index) => ({
    type: "ORDER_COMPLETED",
    topic,
    aggregateType,
    version,
    aggregateId,
    aggregateVersion: first + index,
    correlationId: "correlation",
    data: { orderId: aggregateId, customerId },
  }));
  appendEvents(tx, events, relay.handOver);
}
