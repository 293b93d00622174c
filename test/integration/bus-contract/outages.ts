import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { type Bus, type BusMessage, BusUnavailableError } from "../../../lib/bus/bus.ts";
import { expectGrowing, merged, messagesFor } from "../../support/bus-group.ts";
import { until } from "../../support/until.ts";
import type { BusFixture } from "../bus.contract.ts";

export function describeOutages(fixture: BusFixture): void {
  describe("when the broker is away", () => {
    it.each(["stopped", "killed"] as const)(
      "and %s for five seconds, it loses nothing that it acknowledged, and everybody comes back",
      async (way) => {
        const { test, bus, broker } = fixture;
        const topic = await test.createTopic(bus, 6);
        const { receipts, subscription } = await test.join(bus, [topic]);
        const outsider = test.fork([topic]);
        await until("the second member joins", () => outsider.state() === "running");
        await bus.ping();
        const messages = messagesFor(topic, 1_000, 40);
        const publishing = publishStubbornly(bus, messages);
        await until("some arrive", () => receipts.all.length > 20);
        await (way === "killed" ? broker.kill() : broker.stop());
        try {
          const stoppedMs = performance.now();
          // Killed, PostgreSQL's sessions live on for a moment.
          await until("a ping fails", () => bus.ping().then(() => false, isUnavailable));
          await until("the outage shows", () => subscription.state() !== "running");
          await until("five seconds are over", () => performance.now() > stoppedMs + 5_000);
          await until("a publish has failed", () => publishing.refusals() > 0);
        } finally {
          await broker.restart();
        }
        await until("it answers again", () => bus.ping().then(() => true));
        await publishing.done;
        const members = [receipts, outsider.receipts];
        await until("all arrive", () => merged(members).hasAll(messages), { timeoutMs: 60_000 });
        const areBack = () => subscription.state() === "running" && outsider.state() === "running";
        await until("both are back", areBack, { timeoutMs: 60_000 });
        for (const one of members) expectGrowing(one);
      },
      180_000,
    );
  });

  describe("when connections break in the middle of an answer", () => {
    it("loses nothing that it acknowledged and keeps the order", async () => {
      const { test, bus } = fixture;
      const sockets = collectSockets();
      const topic = await test.createTopic(bus, 6);
      const { receipts } = await test.join(bus, [topic]);
      const publishing = publishStubbornly(bus, messagesFor(topic, 50_000, 40));
      let cuts = 0;
      const cutting = setInterval(() => {
        // Once in silence, as when a network swallows packets; else as when the other side is gone.
        const error = cuts === 10 ? undefined : Object.assign(new Error("cut"), { code: "ECONNRESET" });
        for (const socket of sockets.open()) socket.destroy(error);
        cuts += 1;
      }, 211);
      const wereHit = () => cuts >= 20 && publishing.refusals() >= 1;
      try {
        await until("publishes are hit", wereHit, { timeoutMs: 100_000 });
      } finally {
        // Whatever this process opens next is another test's.
        clearInterval(cutting);
        sockets.stop();
      }
      const messages = await publishing.stop();
      await until("all arrive", () => receipts.hasAll(messages), { timeoutMs: 60_000 });
      expectGrowing(receipts);
    }, 240_000);
  });
}

function isUnavailable(error: unknown): boolean {
  return error instanceof BusUnavailableError;
}

/**
 * Publishes in small steps, each again and again until it is acknowledged, as the relay does. `stop` ends it early;
 * both promises answer with what was acknowledged.
 */
function publishStubbornly(bus: Bus, messages: readonly BusMessage[]) {
  let refusals = 0;
  let stopping = false;
  const publish = async () => {
    let sent = 0;
    while (sent < messages.length && !stopping) {
      try {
        await bus.publish(messages.slice(sent, sent + 5));
        sent += 5;
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        refusals += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return messages.slice(0, sent);
  };
  const done = publish();
  // Awaited at the end of the test; meanwhile it must not count as unhandled.
  done.catch(() => undefined);
  const stop = () => {
    stopping = true;
    return done;
  };
  return { done, stop, refusals: () => refusals };
}

/** The client connections that this process opens from now on. */
function collectSockets(): { open(): Socket[]; stop(): void } {
  const sockets = new Set<Socket>();
  const collect = (message: unknown) => {
    const { socket } = message as { socket: Socket };
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  subscribe("net.client.socket", collect);
  return { open: () => [...sockets], stop: () => void unsubscribe("net.client.socket", collect) };
}
