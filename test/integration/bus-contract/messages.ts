import { randomUUID } from "node:crypto";
import kafkajs from "kafkajs";
import { messagesFor, valuesByKey } from "../../support/bus-group.ts";
import { until } from "../../support/until.ts";
import type { BusFixture } from "../bus.contract.ts";

export function describeMessages(fixture: BusFixture): void {
  describe("messages", () => {
    it("arrive in order per key, whoever publishes at the same time", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const { receipts } = await test.join(bus, [topic]);
      const messages = messagesFor(topic, 2_000, 50);
      const others = test.openBus();
      // Each key is published by one publisher only, one message after the other, as the relay does it.
      const publishers = [...valuesByKey(messages)].map(async ([key, values], index) => {
        const publisher = index % 2 === 0 ? bus : others;
        for (const value of values) await publisher.publish([{ topic, key, value, headers: {} }]);
      });
      await Promise.all(publishers);
      await until("all arrive", () => receipts.hasAll(messages));
      expect(receipts.firstByKey()).toEqual(valuesByKey(messages));
      expect(receipts.all).toHaveLength(messages.length);
    });

    it("of one publisher keep the order of the calls, also when it does not wait for them", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const { receipts } = await test.join(bus, [topic]);
      const messages = messagesFor(topic, 500, 7);
      // A large message must not be overtaken by the small ones that are sent while it is on its way.
      const large = { "large-header": "x".repeat(200_000) };
      const calls: Promise<void>[] = [];
      for (const [index, message] of messages.entries()) {
        calls.push(bus.publish([index % 50 === 0 ? { ...message, headers: large } : message]));
        if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(calls);
      await until("all arrive", () => receipts.hasAll(messages));
      expect(receipts.firstByKey()).toEqual(valuesByKey(messages));
    });

    it("get consecutive offsets in their partition", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const { receipts } = await test.join(bus, [topic]);
      const buses = [bus, test.openBus(), test.openBus()];
      const messages = messagesFor(topic, 900);
      await Promise.all(messages.map((message, index) => (buses[index % 3] ?? bus).publish([message])));
      await until("all arrive", () => receipts.hasAll(messages));
      const offsets = Map.groupBy(receipts.all, (message) => message.partition);
      expect(offsets.size).toBe(3);
      for (const inPartition of offsets.values()) {
        expect(inPartition.map((message) => message.offset)).toEqual(
          inPartition.map((_, index) => String(index)),
        );
      }
    });

    it("land in the partition that every Kafka client would choose for their key", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus, 6);
      const { receipts } = await test.join(bus, [topic]);
      const keys = [
        "",
        "a",
        "ab",
        "abc",
        "abcd",
        "Grüße",
        "注文",
        "🙂",
        ...Array.from({ length: 100 }, randomUUID),
      ];
      const messages = keys.map((key, index) => ({ topic, key, value: `{"n":${index}}`, headers: {} }));
      await bus.publish(messages);
      await until("all arrive", () => receipts.hasAll(messages));
      const choose = kafkajs.Partitioners.DefaultPartitioner();
      const partitionMetadata = Array.from({ length: 6 }, (_, partitionId) => ({
        partitionErrorCode: 0,
        partitionId,
        leader: 0,
        replicas: [],
        isr: [],
      }));
      for (const { key, partition } of receipts.all) {
        expect({ key, partition }).toEqual({
          key,
          partition: choose({ topic, partitionMetadata, message: { key, value: "" } }),
        });
      }
    });

    it("come as they were sent, with their headers and the time of their arrival", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus, 1);
      const value = '{ "b":1,\n "a": "Grüße 注文 🙂 \\u0000 \\\\ \\"", "a":2 }';
      const headers = { "event-id": "1", "dlq-error": 'a "quoted"\n line, \\ and ✓', empty: "" };
      const before = Date.now();
      await bus.publish([{ topic, key: "k", value, headers }]);
      const { receipts } = await test.join(bus, [topic]);
      await until("it arrives", () => receipts.all.length === 1);
      expect(receipts.all).toEqual([
        { topic, partition: 0, offset: "0", key: "k", value, headers, timestampMs: expect.any(Number) },
      ]);
      const [received] = receipts.all;
      expect(received?.timestampMs).toBeGreaterThan(before - 1_000);
      expect(received?.timestampMs).toBeLessThan(Date.now() + 1_000);
    });

    it("reach each group once and a new group from the beginning", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const early = await test.join(bus, [topic], { group: `${test.group}-early` });
      const messages = messagesFor(topic, 300);
      await bus.publish(messages);
      await until("the early group has all", () => early.receipts.hasAll(messages));
      const late = await test.join(bus, [topic], { group: `${test.group}-late` });
      await until("the late group has all", () => late.receipts.hasAll(messages));
      expect(late.receipts.firstByKey()).toEqual(valuesByKey(messages));
      expect(early.receipts.all).toHaveLength(300);
    });

    it("go to a dead-letter topic and back, poison and all", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const letters = await test.createTopic(bus, 1);
      const poison = { topic, key: "k", value: "this is not JSON", headers: { "event-id": "e-1" } };
      await test.join(bus, [topic], {
        handler: async (messages) => {
          await bus.publish(
            messages.map(({ key, value, headers, topic: from, partition, offset }) => {
              const origin = { "dlq-topic": from, "dlq-partition": String(partition), "dlq-offset": offset };
              return { topic: letters, key, value, headers: { ...headers, ...origin } };
            }),
          );
        },
      });
      await bus.publish([poison]);
      const { receipts } = await test.join(bus, [letters], { group: `${test.group}-letters` });
      await until("it arrives", () => receipts.all.length === 1);
      expect(receipts.all[0]).toMatchObject({
        value: poison.value,
        headers: { "event-id": "e-1", "dlq-topic": topic, "dlq-offset": "0" },
      });
    });
  });
}
