/**
 * kill -9 of the one process that is the whole system, twenty times at random moments under load, every now and then
 * while it is still recovering from the last time. PostgreSQL goes down with it and comes back with the next start.
 */
import { setTimeout as wait } from "node:timers/promises";
import { NO_ANSWER, underLoad } from "../support/load.ts";
import { expectPromisesKept } from "../support/promises-kept.ts";
import { seededRandom } from "../support/random.ts";
import { type System, startSystem } from "../support/system.ts";

const kills = 20;
let system: System;

beforeAll(async () => {
  system = await startSystem({ mode: "embedded" });
}, 60_000);

afterAll(async () => {
  await system?.stop();
}, 60_000);

test("kill -9 of everything, twenty times under load, loses nothing and does nothing twice", async () => {
  const random = seededRandom("kill-embedded");
  const result = await underLoad(system, { random, wishesPerSecond: 20, customers: 8 }, async () => {
    for (let kill = 1; kill <= kills; kill += 1) {
      // A start takes about a second: a quarter of the kills meet it before it is ready.
      const duringStart = kill > 1 && random.chance(0.25);
      if (!duringStart) await system.ready();
      await wait(random.between(50, duringStart ? 900 : 1_500));
      await system.kill("holdfast", "SIGKILL");
      system.relaunch();
    }
    await system.ready();
  });
  const kept = await expectPromisesKept(system, result);
  process.stderr.write(`kill-embedded: ${JSON.stringify(kept)}\n`);
  // Load that the kills never met would prove nothing.
  expect(kept.outcomes.created).toBeGreaterThan(kills);
  expect(kept.open[NO_ANSWER]).toBeGreaterThan(0);
}, 400_000);
