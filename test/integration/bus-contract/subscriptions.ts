import { randomUUID } from "node:crypto";
import type { Subscription } from "../../../lib/bus/bus.ts";
import { messagesFor, Receipts, totalLag } from "../../support/bus-group.ts";
import { until } from "../../support/until.ts";
import type { BusFixture } from "../bus.contract.ts";

export function describeSubscriptions(fixture: BusFixture): void {
  describe("a subscription", () => {
    it("pauses one topic or all, and resumes without a loss", async () => {
      const { test, bus } = fixture;
      const one = await test.createTopic(bus);
      const two = await test.createTopic(bus);
      const { receipts, subscription } = await test.join(bus, [one, two]);
      subscription.pause(one);
      const paused = messagesFor(one, 30);
      const flowing = messagesFor(two, 30);
      await bus.publish([...paused, ...flowing]);
      await until("the other topic flows", () => receipts.hasAll(flowing));
      expect(receipts.all.some((message) => message.topic === one)).toBe(false);
      subscription.pause();
      subscription.resume(one);
      const held = messagesFor(two, 30);
      await bus.publish(held);
      await until("the first topic flows", () => receipts.hasAll(paused));
      expect(receipts.hasAll(held)).toBe(false);
      subscription.resume();
      await until("all flow", () => receipts.hasAll(held));
      expect(receipts.all).toHaveLength(90);
    });

    it("may be paused and resumed in the middle of a batch, which is not repeated for that", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const messages = messagesFor(topic, 200);
      await bus.publish(messages);
      let subscription: Subscription | undefined;
      const joined = await test.join(bus, [topic], {
        batchSizeMax: 20,
        handler: async () => {
          subscription?.pause(topic);
          await new Promise((resolve) => setImmediate(resolve));
          subscription?.resume(topic);
        },
      });
      subscription = joined.subscription;
      const more = messagesFor(topic, 200);
      await bus.publish(more);
      await until("all arrive", () => joined.receipts.hasAll([...messages, ...more]));
      await until("nothing is left", async () => (await totalLag(bus, test.group, topic)) === 0);
      expect(joined.receipts.all).toHaveLength(400);
    });

    it("may leave out what its handler does not act on, and nothing else", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus, 2);
      const typed = (headers: Readonly<Record<string, string>>) => (_: unknown, index: number) => ({
        topic,
        key: `key ${index}`,
        value: JSON.stringify({ id: randomUUID() }),
        headers,
      });
      const of = (headers: Readonly<Record<string, string>>) => Array.from({ length: 40 }, typed(headers));
      const wanted = [
        ...of({ "event-type": "WANTED" }),
        ...of({}),
        ...of({ note: '"event-type":"OTHER"' }),
        ...of({ "event-type": "100%_DONE" }),
      ];
      const unwanted = [...of({ "event-type": "OTHER" }), ...of({ "event-type": "100 & DONE", x: "WANTED" })];
      await bus.publish([...unwanted, ...wanted, ...unwanted]);
      const { receipts } = await test.join(bus, [topic], {
        types: ["WANTED", "100%_DONE"],
        batchSizeMax: 30,
      });
      await until("what is wanted arrives", () => receipts.hasAll(wanted));
      await until("nothing is left", async () => (await totalLag(bus, test.group, topic)) === 0);
      const more = of({ "event-type": "WANTED" });
      for (const message of more) await bus.publish([...unwanted.slice(0, 2), message]);
      await until("what comes between arrives", () => receipts.hasAll(more));
      await until("nothing is left again", async () => (await totalLag(bus, test.group, topic)) === 0);
      const known = new Set([...wanted, ...more].map(({ value }) => value));
      const handed = receipts.all.filter(({ value }) => known.has(value));
      expect(handed).toHaveLength(known.size);
    });

    it("waits for a topic that does not exist yet", async () => {
      const { test, bus } = fixture;
      const name = `test.${randomUUID()}`;
      const receipts = new Receipts();
      const subscription = await bus.subscribe({
        group: test.group,
        topics: [name],
        batchSizeMax: 10,
        handler: async (messages) => receipts.add(messages),
      });
      expect(subscription.state()).not.toBe("running");
      const others = test.openBus();
      await others.ensureTopics([{ name, partitions: 2, retentionMs: 60_000 }]);
      const messages = messagesFor(name, 20);
      await others.publish(messages);
      await until("all arrive", () => receipts.hasAll(messages));
      expect(subscription.state()).toBe("running");
    });

    it("says how far behind its group is", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus, 2);
      const messages = messagesFor(topic, 40);
      await bus.publish(messages);
      expect(await totalLag(bus, test.group, topic)).toBe(40);
      let open = false;
      const { subscription } = await test.join(bus, [topic], {
        retryDelayMs: 50,
        retryDelayMaxMs: 100,
        handler: async () => {
          if (!open) throw new Error("closed");
        },
      });
      expect(await totalLag(bus, test.group, topic)).toBe(40);
      open = true;
      await until("nothing is left", async () => (await totalLag(bus, test.group, topic)) === 0);
      await subscription.stop();
      await bus.publish(messagesFor(topic, 7));
      const lag = await bus.lag(test.group, [topic]);
      expect(lag.map(({ partition }) => partition)).toEqual([0, 1]);
      expect(lag.reduce((sum, one) => sum + one.lag, 0)).toBe(7);
    });
  });

  describe("topics", () => {
    it("are created once, however many start at the same time", async () => {
      const { test, bus } = fixture;
      const topics = [3, 1, 2].map((partitions) => ({
        name: `test.${randomUUID()}`,
        partitions,
        retentionMs: 1_000 * 3_600 * partitions,
      }));
      const buses = [bus, test.openBus(), test.openBus()];
      await Promise.all(buses.map((one) => one.ensureTopics(topics)));
      await bus.ensureTopics(topics);
      const names = topics.map((topic) => topic.name);
      const described = await bus.describeTopics([...names, "test.no-such-topic"]);
      expect(described).toEqual(topics.sort((a, b) => (a.name < b.name ? -1 : 1)));
    });
  });
}
