import { parseArgs } from "node:util";
import { runSchedules, totalLines } from "../test/simulation/campaign.ts";
import { runSchedule, type ScheduleOptions, WORLDS } from "../test/simulation/schedule.ts";
import { failureLines, shrink } from "../test/simulation/shrink.ts";
import { reportFailure } from "./exit.ts";
import { UsageError } from "./usage-error.ts";

const usage = `usage: npm run simulate -- [--seeds N] [--seed S]         N schedules (20000), from seed S on (1)
       npm run simulate -- --seed S [--only "fault, …"]  one schedule step by step, with these faults alone
options: --world orders|messages   sagas and payments of orders (the default), or outbox, relay and inbox`;

/** npm run simulate: exit code 0 nothing broke, 1 a schedule breaks a rule, 2 wrong arguments. */
try {
  const options = readOptions(process.argv.slice(2));
  process.exitCode = await (options.count === undefined ? replay(options) : search(options, options.count));
} catch (error) {
  process.exitCode = reportFailure("simulate", error);
}

interface Options extends ScheduleOptions {
  /** Undefined: this one schedule, step by step. */
  readonly count: number | undefined;
}

function readOptions(args: readonly string[]): Options {
  const { seed, seeds, only, world: name = "orders" } = parse(args);
  const world = WORLDS.find((one) => one === name);
  if (!world) throw new UsageError(`--world "${name}" is none of ${WORLDS.join(", ")}\n${usage}`);
  const isReplay = seed !== undefined && seeds === undefined;
  if (only !== undefined && !isReplay) throw new UsageError(`--only needs --seed, and no --seeds\n${usage}`);
  return {
    world,
    seed: wholeNumber("--seed", seed ?? "1"),
    count: isReplay ? undefined : wholeNumber("--seeds", seeds ?? "20000"),
    only: only === undefined ? undefined : new Set(only.split(",").map((id) => id.trim())),
  };
}

function parse(args: readonly string[]) {
  const type = "string" as const;
  try {
    const options = { seed: { type }, seeds: { type }, only: { type }, world: { type } };
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text))
    throw new UsageError(`${name} "${text}" is not a whole number above 0\n${usage}`);
  return Number(text);
}

async function replay(options: Options): Promise<number> {
  const { trace = [], violation, faults } = await runSchedule({ ...options, trace: true });
  console.log(trace.join("\n"));
  console.log(`faults: ${faults.map(({ id }) => id).join(", ") || "none"}`);
  console.log(violation === undefined ? "nothing broke" : `broken: ${violation}`);
  return violation === undefined ? 0 : 1;
}

async function search(options: Options, count: number): Promise<number> {
  let toldAtMs = performance.now();
  const { totals, failed } = await runSchedules(options, count, ({ schedules }) => {
    if (performance.now() - toldAtMs < 10_000) return;
    toldAtMs = performance.now();
    console.log(`${schedules} of ${count} schedules`);
  });
  console.log(totalLines(totals).join("\n"));
  if (!failed) console.log("nothing broke");
  else {
    const { world } = options;
    const smallest = await shrink({ seed: failed.seed, world }, failed);
    console.log(failureLines(failed, smallest, world).join("\n"));
  }
  return failed ? 1 : 0;
}
