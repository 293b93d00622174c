import {
  expectGrowing,
  merged,
  messagesFor,
  Receipts,
  totalLag,
  valuesByKey,
} from "../../support/bus-group.ts";
import { until } from "../../support/until.ts";
import type { BusFixture } from "../bus.contract.ts";

export function describeGroups(fixture: BusFixture): void {
  describe("a group", () => {
    it("gets again what a member had in hand when it was killed", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const messages = messagesFor(topic, 60);
      await bus.publish(messages);
      const victim = test.fork([topic], { holdsFirst: true, batchSizeMax: 10 });
      await until("it is in the middle of a batch", () => victim.receipts.all.length > 0);
      victim.signal("SIGKILL");
      await victim.gone;
      const killedMs = performance.now();
      const { receipts } = await test.join(bus, [topic]);
      await until("all arrive", () => receipts.hasAll(messages), { timeoutMs: 30_000 });
      expect(receipts.firstByKey()).toEqual(valuesByKey(messages));
      // PostgreSQL: a lease of 4 s and a beat of 1 s; Kafka: a session of 6 s, and it looks every few seconds.
      expect(performance.now() - killedMs).toBeLessThan(bus.kind === "postgres" ? 6_000 : 20_000);
    });

    it("loses nothing and keeps the order when members join, leave and die", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus, 6);
      const receipts = new Receipts();
      const first = await test.join(bus, [topic], { batchSizeMax: 20 }, receipts);
      const published = messagesFor(topic, 3_000, 40);
      let sent = 0;
      const publishing = (async () => {
        while (sent < published.length) {
          await bus.publish(published.slice(sent, sent + 10));
          sent += 10;
          // Spread over the whole test, at the pace of its events.
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
      const leaving = test.fork([topic], { batchSizeMax: 20 });
      await until("the second one takes part", () => leaving.receipts.all.length > 0, { timeoutMs: 30_000 });
      leaving.order("stop");
      await leaving.gone;
      const dying = test.fork([topic], { batchSizeMax: 20 });
      await until("the third one takes part", () => dying.receipts.all.length > 0, { timeoutMs: 30_000 });
      dying.signal("SIGKILL");
      await publishing;
      const members = [receipts, leaving.receipts, dying.receipts];
      await until("all arrive", () => merged(members).hasAll(published), { timeoutMs: 40_000 });
      // Receipts of several processes have no common order; within each one a key never goes back.
      for (const one of members) expectGrowing(one);
      expect(first.subscription.state()).toBe("running");
    });

    it("is not disturbed by a member that was frozen and comes back", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus);
      const messages = messagesFor(topic, 60);
      await bus.publish(messages);
      const signs = await test.createTopic(bus, 6);
      const frozen = test.fork([topic, signs], { holdsFirst: true, batchSizeMax: 10 });
      await until("it is in the middle of a batch", () => frozen.receipts.all.length > 0);
      frozen.signal("SIGSTOP");
      const { receipts } = await test.join(bus, [topic, signs]);
      await until("the other one takes over", () => receipts.hasAll(messages), { timeoutMs: 40_000 });
      await until("nothing is left", async () => (await totalLag(bus, test.group, topic)) === 0);
      const held = frozen.receipts.all.length;
      frozen.signal("SIGCONT");
      frozen.order("go on");
      // It commits what it held before it takes part again, and that must not move the group back.
      await until("it takes part again", async () => {
        await bus.publish(messagesFor(signs, 6));
        return frozen.receipts.all.length > held;
      });
      expect(await totalLag(bus, test.group, topic)).toBe(0);
      expect(receipts.all.filter((message) => message.topic === topic)).toHaveLength(messages.length);
      const more = messagesFor(topic, 60);
      await bus.publish(more);
      await until("new messages are handled", () => merged([receipts, frozen.receipts]).hasAll(more));
    });

    it("shares the partitions evenly", async () => {
      const { test, bus } = fixture;
      const topic = await test.createTopic(bus, 6);
      const first = await test.join(bus, [topic]);
      const second = await test.join(test.openBus(), [topic]);
      await until("both have three", async () => {
        const before = [first.receipts.all.length, second.receipts.all.length];
        const messages = messagesFor(topic, 120, 120);
        await bus.publish(messages);
        await until("all arrive", () => merged([first.receipts, second.receipts]).hasAll(messages));
        const counts = [first, second].map(
          ({ receipts }, index) =>
            new Set(receipts.all.slice(before[index]).map((message) => message.partition)).size,
        );
        return counts[0] === 3 && counts[1] === 3;
      });
    });
  });
}
