import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { runSchedules } from "./campaign.ts";
import { MUTATIONS, type Mutation } from "./mutations.ts";
import { runSchedule } from "./schedule.ts";
import { replayCommand, shrink } from "./shrink.ts";

/**
 * Engine, protocols and definitions as they are, barrier, settlement and allocation too, in schedules that are drawn:
 * calls and events are lost, late, doubled; processes die and stand still; connections break. See docs/testing.md.
 */

const run = promisify(execFile);

/** CI's share; `npm run simulate -- --seeds 1000000` runs as many as one likes. */
const SCHEDULES = 20_000;

/** How many schedules may go by until a guard that is off is noticed. */
const SEEDS_MAX: Readonly<Record<Mutation, number>> = {
  "barrier off": 100,
  "versions ignored": 100,
  "pivot not first": 100,
  "deadline ignored": 5_000,
  "compensations swapped": 100,
  "late replies taken": 500,
  "nobody wakes": 100,
  "provider guessed": 500,
  "held stock released": 2_000,
  "refusals forgotten": 6_000,
};

/** Seeds that are known to notice nothing, where there are many of them. */
const QUIET: Readonly<Partial<Record<Mutation, number>>> = { "refusals forgotten": 5_300 };

test(`${SCHEDULES} schedules break nothing, and all come to rest`, async () => {
  // As people run it: in a process of its own, where it is twice as fast as in the tests' sandbox.
  const command = ["scripts/simulate.ts", "--seeds", String(SCHEDULES)];
  const running = run(process.execPath, command, { cwd: join(__dirname, "..", "..") });
  const { stdout } = await running.catch((failed: { stdout: string }) => failed);
  process.stderr.write(stdout);
  expect(stdout).toMatch(/nothing broke\n$/);
  expect(stdout).toContain(`${SCHEDULES} schedules, `);
}, 900_000);

test("a seed means one schedule, however often it is run", async () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const first = await runSchedule({ seed });
    const again = await runSchedule({ seed });
    expect(again).toEqual(first);
    expect(first.steps).toBeGreaterThan(0);
  }
});

test.each(MUTATIONS)(
  "%s: it is noticed",
  async (mutation) => {
    const quiet = QUIET[mutation] ?? 0;
    const { failed } = await runSchedules({ seed: quiet + 1, mutation }, SEEDS_MAX[mutation] - quiet);
    process.stderr.write(`${mutation}: seed ${failed?.seed}: ${failed?.violation}\n`);
    expect(failed?.violation).toBeDefined();
  },
  300_000,
);

test("what breaks a rule shrinks to the faults that it takes, and can be replayed with them", async () => {
  const mutation = "provider guessed";
  const { failed } = await runSchedules({ seed: 1, mutation }, SEEDS_MAX[mutation]);
  if (!failed) throw new Error("nothing to shrink");
  const smallest = await shrink({ seed: failed.seed, mutation }, failed);
  // A provider that does not answer is all it takes to be asked twice.
  expect(smallest.faults).toHaveLength(1);
  expect(smallest.faults[0]?.id).toMatch(/^(provider|slow|reply|request|crash|pause)/);
  const only = new Set(smallest.faults.map(({ id }) => id));
  const replayed = await runSchedule({ seed: failed.seed, mutation, only });
  expect(replayed).toEqual(smallest);
  expect(replayCommand(replayed)).toContain(`--seed ${failed.seed} --only "${[...only].join(", ")}"`);
  // Without the guard's loss the same schedule is harmless.
  expect((await runSchedule({ seed: failed.seed, only })).violation).toBeUndefined();
});
