import { runSchedule, type ScheduleOptions, type ScheduleResult, type WorldName } from "./schedule.ts";

/** Runs that are spent on making one failure small. */
const RUNS_MAX = 300;

/**
 * Leaves out faults of a schedule that breaks a rule for as long as it breaks one (delta debugging: halves, then
 * quarters, down to single faults). Answers the smallest that was found.
 */
export async function shrink(options: ScheduleOptions, failed: ScheduleResult): Promise<ScheduleResult> {
  let smallest = failed;
  let parts = 2;
  for (let runs = 0; runs < RUNS_MAX && smallest.faults.length > 0; ) {
    const ids = smallest.faults.map(({ id }) => id);
    const size = Math.ceil(ids.length / parts);
    let smaller: ScheduleResult | undefined;
    for (let from = 0; from < ids.length && !smaller; from += size) {
      runs += 1;
      const only = new Set([...ids.slice(0, from), ...ids.slice(from + size)]);
      const result = await runSchedule({ ...options, only });
      if (result.violation !== undefined) smaller = result;
    }
    if (smaller) smallest = smaller;
    else if (size === 1) return smallest;
    parts = smaller ? 2 : parts * 2;
  }
  return smallest;
}

/** The command that runs this schedule again, with these faults and no others. */
export function replayCommand({ seed, faults }: ScheduleResult, world: WorldName = "orders"): string {
  const where = world === "orders" ? "" : `--world ${world} `;
  return `npm run simulate -- ${where}--seed ${seed} --only "${faults.map(({ id }) => id).join(", ") || "none"}"`;
}

/** What a person needs to see of a failure. */
export function failureLines(failed: ScheduleResult, smallest: ScheduleResult, world?: WorldName): string[] {
  const { seed, violation, faults } = smallest;
  return [
    `seed ${seed}: ${violation}`,
    ...(failed.violation === violation ? [] : [`with all its faults: ${failed.violation}`]),
    `${faults.length} of its ${failed.faults.length} faults are enough:`,
    ...faults.map(({ id, atMs }) => `  ${atMs.toFixed(1).padStart(9)} ms  ${id}`),
    `replay: ${replayCommand(smallest, world)}`,
  ];
}
