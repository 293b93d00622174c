import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { runSchedules } from "./campaign.ts";
import { MESSAGE_MUTATIONS, MUTATIONS, type Mutation } from "./mutations.ts";
import { runSchedule, type WorldName } from "./schedule.ts";
import { replayCommand, shrink } from "./shrink.ts";

/**
 * Engine, protocols and definitions as they are, barrier, settlement and allocation too, in schedules that are drawn:
 * calls and events are lost, late, doubled; processes die and stand still; connections break. See docs/testing.md.
 */

const run = promisify(execFile);

/** CI's share; `npm run simulate -- --seeds 1000000` runs as many as one likes. */
const SCHEDULES: readonly (readonly [WorldName, number])[] = [
  ["orders", 20_000],
  ["messages", 5_000],
];

/** By which seed a guard that is off is noticed. */
const NOTICED: Readonly<Record<Mutation, number>> = {
  "barrier off": 100,
  "versions ignored": 100,
  "pivot not first": 100,
  "deadline ignored": 5_000,
  "compensations swapped": 100,
  "late replies taken": 500,
  "nobody wakes": 100,
  "provider guessed": 500,
  "held stock released": 2_000,
  "refusals forgotten": 2_000,
  "inbox forgets": 100,
  "blocks ignored": 200,
  "blocked by what is out": 5_000,
  "predecessors ignored": 1_000,
};

test.each(SCHEDULES)(
  "%s: %i schedules break nothing, and all come to rest",
  async (world, count) => {
    // As people run it: in a process of its own, where it is twice as fast as in the tests' sandbox.
    const command = ["scripts/simulate.ts", "--world", world, "--seeds", String(count)];
    const running = run(process.execPath, command, { cwd: join(__dirname, "..", "..") });
    const { stdout } = await running.catch((failed: { stdout: string }) => failed);
    process.stderr.write(stdout);
    expect(stdout).toMatch(/nothing broke\n$/);
    expect(stdout).toContain(`${count} schedules, `);
  },
  900_000,
);

test("a seed means one schedule, however often it is run", async () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    const world = seed % 2 === 0 ? "orders" : "messages";
    const first = await runSchedule({ seed, world });
    const again = await runSchedule({ seed, world });
    expect(again).toEqual(first);
    expect(first.steps).toBeGreaterThan(0);
  }
});

test.each([
  ...MUTATIONS.map((mutation) => ["orders", mutation] as const),
  ...MESSAGE_MUTATIONS.map((mutation) => ["messages", mutation] as const),
])(
  "%s, %s: it is noticed",
  async (world, mutation) => {
    const { failed } = await runSchedules({ seed: 1, world, mutation }, NOTICED[mutation]);
    process.stderr.write(`${mutation}: seed ${failed?.seed}: ${failed?.violation}\n`);
    expect(failed?.violation).toBeDefined();
  },
  300_000,
);

test("what breaks a rule shrinks to the faults that it takes, and can be replayed with them", async () => {
  const mutation = "provider guessed";
  const { failed } = await runSchedules({ seed: 1, mutation }, NOTICED[mutation]);
  if (!failed) throw new Error("nothing to shrink");
  const smallest = await shrink({ seed: failed.seed, mutation }, failed);
  const only = new Set(smallest.faults.map(({ id }) => id));
  const replayed = await runSchedule({ seed: failed.seed, mutation, only });
  expect(replayed).toEqual(smallest);
  // Each of them is needed.
  expect(only.size).toBeGreaterThan(0);
  for (const one of only) {
    const others = new Set([...only].filter((id) => id !== one));
    const { violation } = await runSchedule({ seed: failed.seed, mutation, only: others });
    expect(violation).toBeUndefined();
  }
  expect(replayCommand(replayed)).toContain(`--seed ${failed.seed} --only "${[...only].join(", ")}"`);
  // Without the guard's loss the same schedule is harmless.
  expect((await runSchedule({ seed: failed.seed, only })).violation).toBeUndefined();
});
