import type { Process, Scheduler } from "./scheduler.ts";

/** Outboxes, relays and consumer groups by their contract: in order per aggregate, at least once. */

export interface BusEvent {
  readonly eventId: string;
  readonly aggregateId: string;
  readonly type: string;
  readonly data: object;
}

/** What one service has to tell, and the relay that moves it to the topic's log. */
export class Topic {
  readonly log: BusEvent[] = [];
  readonly groups: Group<BusEvent>[] = [];
  private readonly name: string;
  private readonly scheduler: Scheduler;
  private pending: BusEvent[] = [];
  private isWoken = false;

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.scheduler = scheduler;
  }

  get isDrained(): boolean {
    return this.pending.length === 0 && this.groups.every((group) => group.isAtEnd());
  }

  /** To be called in the moment of the commit. */
  append(events: readonly BusEvent[]): void {
    this.pending.push(...events);
    this.wake(0);
  }

  private wake(delayMs: number): void {
    if (this.isWoken) return;
    this.isWoken = true;
    const site = `relay ${this.name}`;
    this.scheduler.post(site, delayMs + this.scheduler.latency(site), () => this.relay());
  }

  private relay(): void {
    const { random } = this.scheduler;
    this.isWoken = false;
    if (random.strike("outage", this.name)) {
      this.wake(random.at("outages").between(100, 6_000));
      return;
    }
    const batch = this.pending.slice(0, random.at(`relay ${this.name}`).between(1, 4));
    this.log.push(...batch);
    for (const group of this.groups) group.wake(0);
    // Published, and not marked so: the next pass publishes them again, before what follows them.
    if (!random.strike("unmarked", this.name)) this.pending = this.pending.slice(batch.length);
    if (this.pending.length > 0) this.wake(0);
  }
}

/** What a group reads. */
export interface Log<Message> {
  readonly log: readonly Message[];
  readonly groups: Group<Message>[];
}

export interface Handler<Message> {
  /** Who may take a batch now; nobody: later. Undefined where nobody's memory is at stake. */
  readonly member: () => Process | undefined | "nobody";
  readonly handle: (messages: readonly Message[], member: Process | undefined) => Promise<void>;
}

const SESSION_TIMEOUT_MS = 3_000;
const RETRY_MS = 200;

/** A consumer group's way through a topic: one batch at a time, until its member is believed to be dead. */
export class Group<Message> {
  private readonly name: string;
  private readonly topic: Log<Message>;
  private readonly scheduler: Scheduler;
  private readonly handler: Handler<Message>;
  private offset = 0;
  /** Counts the assignments: who comes back after a rebalance commits nothing. */
  private generation = 0;
  private isBusy = false;

  constructor(name: string, topic: Log<Message>, scheduler: Scheduler, handler: Handler<Message>) {
    this.name = name;
    this.topic = topic;
    this.scheduler = scheduler;
    this.handler = handler;
    topic.groups.push(this);
  }

  isAtEnd(): boolean {
    return this.offset >= this.topic.log.length;
  }

  wake(delayMs: number): void {
    if (this.isBusy || this.isAtEnd()) return;
    this.isBusy = true;
    this.generation += 1;
    this.scheduler.post(`fetch for ${this.name}`, delayMs + this.scheduler.latency(this.name), () =>
      this.fetch(),
    );
  }

  private fetch(): void {
    const { random } = this.scheduler;
    const member = this.handler.member();
    if (member === "nobody") {
      this.again(RETRY_MS);
      return;
    }
    if (random.strike("rewind", this.name))
      this.offset = Math.max(0, this.offset - random.at("rewinds").between(1, 5));
    const { generation, offset } = this;
    const batch = this.topic.log.slice(offset, offset + random.at(this.name).between(1, 4));
    const done = () => {
      if (generation !== this.generation) return;
      // The effects are durable, and the group does not know it.
      if (!random.strike("uncommitted", this.name)) this.offset = offset + batch.length;
      this.again(0);
    };
    const failed = () => generation === this.generation && this.again(RETRY_MS);
    const handle = () => this.handler.handle(batch, member).then(done, failed);
    this.scheduler.post(`${this.name} handles ${batch.length}`, 0, handle, member);
    if (member) {
      const lapse = () => generation === this.generation && this.again(0);
      this.scheduler.post(`${this.name} rebalances`, SESSION_TIMEOUT_MS, () => void lapse());
    }
  }

  private again(delayMs: number): void {
    this.isBusy = false;
    // Also with nothing left to take: whoever had this batch has it no more.
    this.generation += 1;
    this.wake(delayMs);
  }
}
