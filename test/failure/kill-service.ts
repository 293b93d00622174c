import { setTimeout as wait } from "node:timers/promises";
import { underLoad } from "../support/load.ts";
import { expectPromisesKept } from "../support/promises-kept.ts";
import { seededRandom } from "../support/random.ts";
import { describeOnStack, type System, startSystem } from "../support/system.ts";
import { until } from "../support/until.ts";

const kills = 20;
/** With every so many kills the system is given the time to work again; Kafka takes six seconds to miss a member. */
const recoveryEvery = 4;

/**
 * kill -9 of one service's process on the real stack, twenty times at random moments under load, every now and then
 * before it is ready again. The supervisor starts it anew; nobody else is told.
 */
export function killService(name: "saga" | "product"): void {
  describeOnStack(`the process of ${name}`, () => {
    let system: System | undefined;
    beforeAll(async () => {
      system = await startSystem({ mode: "stack" });
    }, 150_000);
    afterAll(async () => {
      await system?.stop();
    }, 90_000);

    test("killed twenty times under load loses nothing, and does nothing twice", async () => {
      if (system === undefined) throw new Error("the system is not ready");
      const random = seededRandom(`kill-${name}`);
      const running = system;
      const result = await underLoad(running, { random, wishesPerSecond: 20, customers: 16 }, async () => {
        for (let kill = 1; kill <= kills; kill += 1) {
          // A death in full work, then some in the middle of the recovery from it.
          if (kill % recoveryEvery === 1) await worksAgain(running);
          await wait(random.between(50, 900));
          const pid = running.demo.pids[name] ?? 0;
          await running.kill(name, "SIGKILL");
          await running.replaced(name, pid);
        }
      });
      const kept = await expectPromisesKept(system, result);
      process.stderr.write(`kill-${name}: ${JSON.stringify(kept)}\n`);
      expect(kept.outcomes.created).toBeGreaterThan(kills);
    }, 240_000);
  });
}

/** Waits until an order has been created since now. */
async function worksAgain(system: System): Promise<void> {
  const created = async () => {
    const [row] = await system.sql<{ count: number }>(
      "order",
      "select count(*)::int as count from orders where status = 'created'",
    );
    return row?.count ?? 0;
  };
  const before = await created();
  await until("orders are created again", async () => (await created()) > before, { timeoutMs: 60_000 });
}
