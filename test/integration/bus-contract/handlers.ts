import { messagesFor, totalLag, valuesByKey } from "../../support/bus-group.ts";
import { until } from "../../support/until.ts";
import type { BusFixture } from "../bus.contract.ts";

export function describeHandlers(fixture: BusFixture): void {
  describe("a handler", () => {
    it("that throws gets the same messages again, in order, while other partitions go on", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const other = await test.createTopic(bus, 1);
      let failures = 0;
      const times: number[] = [];
      const { receipts } = await test.join(bus, [topic, other], {
        retryDelayMs: 100,
        handler: async (messages) => {
          if (failures === 3 || !messages.some((message) => message.topic === topic)) return;
          times.push(performance.now());
          failures += 1;
          throw new Error("not now");
        },
      });
      const messages = messagesFor(topic, 100, 1);
      await bus.publish(messages);
      await until("the handler fails", () => failures > 0);
      const healthy = messagesFor(other, 10, 1);
      await bus.publish(healthy);
      await until("the other topic is handled", () => receipts.hasAll(healthy));
      await until("the failed ones are handled", () => receipts.hasAll(messages));
      expect(failures).toBe(3);
      expect(receipts.firstByKey()).toEqual(valuesByKey([...messages, ...healthy]));
      // 100 ms, then 200 ms; a timer may be early by one.
      expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(98);
      expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThan(198);
    });

    it("that takes longer than the lease keeps its partitions", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const messages = messagesFor(topic, 30);
      await bus.publish(messages);
      const startedMs = performance.now();
      let through = false;
      const { receipts } = await test.join(bus, [topic], {
        handler: async () => {
          await until("longer than any lease", () => performance.now() > startedMs + 9_000);
          through = true;
        },
      });
      const second = await test.join(test.openBus(), [topic], {}, receipts);
      await until("all arrive", () => through && receipts.hasAll(messages), { timeoutMs: 40_000 });
      await until("nothing is left", async () => (await totalLag(bus, test.group, topic)) === 0);
      expect(second.receipts.all).toHaveLength(messages.length);
    });

    it("that works through a backlog in small batches for longer than the lease gets each message once", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const messages = messagesFor(topic, 1_200, 50);
      await bus.publish(messages);
      const { receipts } = await test.join(bus, [topic], {
        batchSizeMax: 4,
        // 300 batches, 9 s.
        handler: () => new Promise((resolve) => setTimeout(resolve, 30)),
      });
      await until("all arrive", () => receipts.hasAll(messages), { timeoutMs: 40_000 });
      await until("nothing is left", async () => (await totalLag(bus, test.group, topic)) === 0);
      expect(receipts.all).toHaveLength(messages.length);
      expect(receipts.firstByKey()).toEqual(valuesByKey(messages));
    });

    it("is told when its member is to stop, and may finish what it has in hand", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const messages = messagesFor(topic, 50, 1);
      await bus.publish(messages);
      let finish: () => void = () => undefined;
      let stale: () => boolean = () => false;
      let calls = 0;
      const { receipts, subscription } = await test.join(bus, [topic], {
        batchSizeMax: 20,
        handler: (_, controls) => {
          calls += 1;
          stale = controls.isStale;
          return new Promise((resolve) => {
            finish = resolve;
          });
        },
      });
      await until("the handler has a batch", () => calls === 1);
      expect(stale()).toBe(false);
      const stopping = subscription.stop();
      expect(stale()).toBe(true);
      finish();
      await stopping;
      await subscription.stop();
      expect(subscription.state()).toBe("stopped");
      expect(calls).toBe(1);
      expect(receipts.all).toHaveLength(20);
      // What it finished is committed: the next member goes on behind it.
      const next = await test.join(test.openBus(), [topic]);
      await until("the rest arrives", () => next.receipts.all.length === 30);
      expect([...receipts.values(), ...next.receipts.values()]).toEqual(messages.map(({ value }) => value));
    });
  });
}
