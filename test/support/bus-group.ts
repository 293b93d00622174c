import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Bus, BusMessage, ReceivedMessage, SubscribeOptions, Subscription } from "../../lib/bus/bus.ts";
import { type BusAddress, openBusAt } from "./bus-at.ts";
import type { MemberOrder, MemberReport, MemberTask } from "./bus-member.ts";
import { until } from "./until.ts";

/** Everything that some members received, in the order of receipt. */
export class Receipts {
  readonly all: ReceivedMessage[] = [];
  readonly batches: number[] = [];

  add(messages: readonly ReceivedMessage[]): void {
    this.batches.push(messages.length);
    this.all.push(...messages);
  }

  values(): string[] {
    return this.all.map((message) => message.value);
  }

  hasAll(messages: readonly BusMessage[]): boolean {
    const values = new Set(this.values());
    return messages.every((message) => values.has(message.value));
  }

  /** The values of each key, each at its first delivery. */
  firstByKey(): Map<string, string[]> {
    const seen = new Set<string>();
    const byKey = new Map<string, string[]>();
    for (const { key, value } of this.all) {
      if (seen.has(value)) continue;
      seen.add(value);
      byKey.set(key, [...(byKey.get(key) ?? []), value]);
    }
    return byKey;
  }
}

export function valuesByKey(messages: readonly BusMessage[]): Map<string, string[]> {
  const byKey = new Map<string, string[]>();
  for (const { key, value } of messages) byKey.set(key, [...(byKey.get(key) ?? []), value]);
  return byKey;
}

/** What several members received together; across processes there is no common order. */
export function merged(receipts: readonly Receipts[]): Receipts {
  const all = new Receipts();
  for (const one of receipts) all.add(one.all);
  return all;
}

/** No key ever went back: the numbers in the values of `messagesFor` grow, at first delivery. */
export function expectGrowing(receipts: Receipts): void {
  const numberOf = (value: string) => (JSON.parse(value) as { number: number }).number;
  for (const [key, values] of receipts.firstByKey()) {
    const numbers = values.map(numberOf);
    expect({ key, numbers }).toEqual({ key, numbers: [...numbers].sort((a, b) => a - b) });
  }
}

export async function totalLag(bus: Bus, group: string, topic: string): Promise<number> {
  const lag = await bus.lag(group, [topic]);
  return lag.reduce((sum, one) => sum + one.lag, 0);
}

export interface MemberProcess {
  readonly receipts: Receipts;
  readonly pid: number;
  state(): string;
  order(order: MemberOrder): void;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
}

const root = join(__dirname, "..", "..");

/** What one test opens, so that nothing of it outlives the test, whatever way it ends. */
export class BusTest {
  readonly address: BusAddress;
  /** New for each test: nothing is left over from the one before. */
  readonly group = `group-${randomUUID()}`;
  readonly #buses: Bus[] = [];
  readonly #children: ChildProcess[] = [];

  constructor(address: BusAddress) {
    this.address = address;
  }

  openBus(): Bus {
    const bus = openBusAt(this.address);
    this.#buses.push(bus);
    return bus;
  }

  async createTopic(bus: Bus, partitions = 3): Promise<string> {
    const name = `test.${randomUUID()}`;
    await bus.ensureTopics([{ name, partitions, retentionMs: 3_600_000 }]);
    return name;
  }

  /** Joins and records; resolves when the group has let it in. */
  async join(
    bus: Bus,
    topics: readonly string[],
    options: Partial<SubscribeOptions> = {},
    receipts = new Receipts(),
  ): Promise<{ receipts: Receipts; subscription: Subscription }> {
    const { handler, ...rest } = options;
    const subscription = await bus.subscribe({
      group: this.group,
      topics,
      batchSizeMax: 200,
      handler: async (messages, controls) => {
        await handler?.(messages, controls);
        receipts.add(messages);
      },
      ...rest,
    });
    await until("the member joins", () => subscription.state() === "running");
    return { receipts, subscription };
  }

  fork(topics: readonly string[], options: Partial<MemberTask> = {}): MemberProcess {
    const task: MemberTask = {
      ...this.address,
      group: this.group,
      topics,
      batchSizeMax: 200,
      holdsFirst: false,
      ...options,
    };
    const child = fork(join(root, "test/support/bus-member.ts"), [JSON.stringify(task)], {
      cwd: root,
      execPath: join(root, "node_modules/.bin/node"),
      // The runner's own flags mean nothing to the member.
      execArgv: [],
    });
    this.#children.push(child);
    const receipts = new Receipts();
    let state = "";
    child.on("message", (report: MemberReport) => {
      if (report.type === "state") state = report.state;
      else receipts.add(report.messages);
    });
    return {
      receipts,
      pid: child.pid ?? 0,
      state: () => state,
      order: (order) => child.send(order),
      signal: (signal) => child.kill(signal),
      gone: new Promise((resolve) => child.once("exit", () => resolve())),
    };
  }

  async close(): Promise<void> {
    for (const child of this.#children) if (child.exitCode === null) child.kill("SIGKILL");
    await Promise.all(this.#buses.map((bus) => bus.close()));
  }
}

let counter = 0;

/** Messages whose values are unique and grow, spread over `keys` keys. */
export function messagesFor(topic: string, count: number, keys = 20): BusMessage[] {
  const run = randomUUID().slice(0, 8);
  return Array.from({ length: count }, () => {
    counter += 1;
    const value = JSON.stringify({ run, number: counter });
    return { topic, key: `key-${run}-${counter % keys}`, value, headers: { "event-id": String(counter) } };
  });
}
