import {
  type Bus,
  type BusMessage,
  BusUnavailableError,
  MessageRefusedError,
  type ReceivedMessage,
  TopicMissingError,
} from "../../../lib/bus/bus.ts";
import type { Group } from "../model-bus.ts";
import { type Process, type Scheduler, Violation } from "../scheduler.ts";

/** Text in a message that the broker refuses whenever it comes. */
export const UNPUBLISHABLE = "unpublishable";

/** A broker by the bus port's contract: it may be away, take messages and not say so, refuse one, or lack a topic. */
export class ModelBroker {
  readonly log: ReceivedMessage[] = [];
  readonly groups: Group<ReceivedMessage>[] = [];
  readonly published = new Set<string>();
  private readonly scheduler: Scheduler;
  private readonly lastVersions = new Map<string, number>();
  /** Until then the topic of dead letters, or of events, is not there. */
  private readonly missing: { readonly topic: string; readonly untilMs: number };

  constructor(scheduler: Scheduler, missing: { readonly topic: string; readonly untilMs: number }) {
    this.scheduler = scheduler;
    this.missing = missing;
  }

  /** The port, as one process uses it. */
  busOf(owner: Process): Bus {
    return { publish: (messages: readonly BusMessage[]) => this.publish(owner, messages) } as unknown as Bus;
  }

  private publish(owner: Process, messages: readonly BusMessage[]): Promise<void> {
    const { scheduler } = this;
    return new Promise((resolve, reject) => {
      scheduler.post("publish", scheduler.latency("broker asked"), () => {
        const error = this.take(messages);
        const label = error ? `the broker answers ${error.name}` : "published";
        const answer = () => (error ? reject(error) : resolve());
        scheduler.post(label, scheduler.latency("broker answers"), answer, owner);
      });
    });
  }

  private take(messages: readonly BusMessage[]): Error | undefined {
    const { random, nowMs } = this.scheduler;
    if (random.strike("bus-away", "broker")) return new BusUnavailableError("away");
    const { topic, untilMs } = this.missing;
    if (nowMs < untilMs && messages.some((message) => message.topic === topic))
      return new TopicMissingError([topic]);
    const index = messages.findIndex(
      ({ value }) => value.includes(UNPUBLISHABLE) || random.strike("bus-refuses", "broker"),
    );
    if (index >= 0) {
      if (random.at("appended before").chance(0.5)) this.append(messages.slice(0, index));
      return new MessageRefusedError("refused", index);
    }
    this.append(messages);
    return random.strike("bus-unheard", "broker") ? new BusUnavailableError("timed out") : undefined;
  }

  private append(messages: readonly BusMessage[]): void {
    for (const message of messages) {
      const { aggregateVersion: version, eventId } = JSON.parse(message.value) as {
        aggregateVersion: number;
        eventId: string;
      };
      const known = this.lastVersions.get(message.key) ?? 0;
      const isNew = !this.published.has(eventId);
      this.published.add(eventId);
      if (isNew && version !== known + 1) {
        throw new Violation(`version ${version} of ${message.key} was published after ${known}`);
      }
      if (isNew) this.lastVersions.set(message.key, version);
      const offset = String(this.log.length);
      this.log.push({ ...message, partition: 0, offset, timestampMs: this.scheduler.nowMs });
    }
    for (const group of this.groups) group.wake(0);
  }
}
