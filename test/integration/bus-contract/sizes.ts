import { randomUUID } from "node:crypto";
import { TopicMissingError } from "../../../lib/bus/bus.ts";
import { MESSAGE_BYTES_MAX } from "../../../lib/bus/check-messages.ts";
import { messagesFor, valuesByKey } from "../../support/bus-group.ts";
import { until } from "../../support/until.ts";
import type { BusFixture } from "../bus.contract.ts";

export function describeSizes(fixture: BusFixture): void {
  describe("sizes", () => {
    it("takes 10,000 messages in one call and hands them over in batches of the size asked for", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus, 6);
      const messages = messagesFor(topic, 10_000, 1_000);
      await bus.publish(messages);
      const { receipts } = await test.join(bus, [topic], { batchSizeMax: 333 });
      await until("all arrive", () => receipts.all.length >= messages.length);
      expect(receipts.firstByKey()).toEqual(valuesByKey(messages));
      expect(Math.max(...receipts.batches)).toBeLessThanOrEqual(333);
    });

    it("takes messages of 500 KB", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const { receipts } = await test.join(bus, [topic]);
      const messages = messagesFor(topic, 5).map((message) => ({
        ...message,
        value: JSON.stringify({ text: message.value + "ü".repeat(250_000) }),
      }));
      await bus.publish(messages);
      await until("all arrive", () => receipts.hasAll(messages));
    });

    it("refuses what no broker would carry, and names it", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const [first, second] = messagesFor(topic, 2);
      const tooLarge = { topic, key: "k", value: `"${"x".repeat(MESSAGE_BYTES_MAX)}"`, headers: {} };
      await expect(bus.publish([first, tooLarge, second] as never)).rejects.toMatchObject({
        type: "MESSAGE_REFUSED",
        retryable: false,
        index: 1,
      });
      const nowhere = { topic: "test.no-such-topic", key: "k", value: "{}", headers: {} };
      const elsewhere = { ...nowhere, topic: "test.no-other-topic" };
      const unknown = bus.publish([first, second, nowhere, elsewhere, nowhere] as never);
      await expect(unknown).rejects.toBeInstanceOf(TopicMissingError);
      await expect(unknown).rejects.toMatchObject({
        type: "BUS_UNAVAILABLE",
        topics: ["test.no-other-topic", "test.no-such-topic"],
      });
      // It is an outage that ends when the topic is there.
      const later = { ...nowhere, topic: `test.${randomUUID()}` };
      await expect(bus.publish([later])).rejects.toBeInstanceOf(TopicMissingError);
      await bus.ensureTopics([{ name: later.topic, partitions: 1, retentionMs: 3_600_000 }]);
      await bus.publish([later]);
      // It harms nobody else, also not a call at the same time.
      const other = messagesFor(topic, 10);
      const results = await Promise.allSettled([bus.publish([tooLarge]), bus.publish(other)]);
      expect(results.map((result) => result.status)).toEqual(["rejected", "fulfilled"]);
    });
  });
}
