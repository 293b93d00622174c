import { setTimeout as wait } from "node:timers/promises";
import { startLoad } from "../support/load.ts";
import { expectPromisesKept } from "../support/promises-kept.ts";
import { seededRandom } from "../support/random.ts";
import { describeOnStack, type System, startSystem } from "../support/system.ts";

const kills = 20;

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
      const load = startLoad(system, { random, wishesPerSecond: 20, customers: 8 });
      for (let kill = 1; kill <= kills; kill += 1) {
        await wait(random.between(100, 2_500));
        const pid = system.demo.pids[name] ?? 0;
        await system.kill(name, "SIGKILL");
        await system.replaced(name, pid);
      }
      const faultsEndedAt = performance.now();
      const wishes = await load.stop();
      const kept = await expectPromisesKept(system, wishes, faultsEndedAt);
      const asked = wishes.reduce((sum, { unknown }) => sum + unknown, 0);
      process.stderr.write(
        `kill-${name}: ${wishes.length} orders, ${asked} unknown outcomes, ${JSON.stringify(kept)}\n`,
      );
      expect(kept.created).toBeGreaterThan(kills);
    }, 240_000);
  });
}
