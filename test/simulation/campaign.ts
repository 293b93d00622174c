import { runSchedule, type ScheduleOptions, type ScheduleResult } from "./schedule.ts";

/** What many schedules came to. */
export interface Totals {
  schedules: number;
  steps: number;
  /** How many faults struck, by kind. */
  readonly faults: Map<string, number>;
  /** Longest time to rest after the faults. */
  restMs: number;
  cpuMs: number;
}

const PAUSE_EVERY = 500;

/** Runs schedules of consecutive seeds until one breaks a rule. */
export async function runSchedules(
  options: ScheduleOptions,
  count: number,
  onProgress: (totals: Totals) => void = () => undefined,
): Promise<{ readonly totals: Totals; readonly failed?: ScheduleResult }> {
  const totals: Totals = { schedules: 0, steps: 0, faults: new Map(), restMs: 0, cpuMs: 0 };
  const before = process.cpuUsage();
  for (let index = 0; index < count; index += 1) {
    const result = await runSchedule({ ...options, seed: options.seed + index });
    add(totals, result);
    const { user, system } = process.cpuUsage(before);
    totals.cpuMs = (user + system) / 1_000;
    if (result.violation !== undefined) return { totals, failed: result };
    if (totals.schedules % PAUSE_EVERY > 0) continue;
    onProgress(totals);
    // A schedule never leaves the microtasks: signals and timers get their turn between them.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { totals };
}

function add(totals: Totals, { steps, restMs, faults }: ScheduleResult): void {
  totals.schedules += 1;
  totals.steps += steps;
  totals.restMs = Math.max(totals.restMs, restMs);
  for (const { id } of faults) {
    const kind = id.slice(0, id.indexOf(" "));
    totals.faults.set(kind, (totals.faults.get(kind) ?? 0) + 1);
  }
}

export function totalLines({ schedules, steps, faults, restMs, cpuMs }: Totals): string[] {
  const struck = [...faults].sort((a, b) => b[1] - a[1]);
  const sum = struck.reduce((total, [, count]) => total + count, 0);
  return [
    `${schedules} schedules, ${steps} steps, ${Math.round(schedules / (cpuMs / 1_000))} schedules per second of CPU`,
    `${sum} faults: ${struck.map(([kind, count]) => `${kind} ${count}`).join(", ")}`,
    `at rest at most ${(restMs / 1_000).toFixed(1)} s after the faults had healed`,
  ];
}
