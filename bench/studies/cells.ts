import { prepareApi, prepareFloor } from "../data.ts";
import { type LoadDriver, startLoad } from "../load/driver.ts";
import type { Cell } from "../load/protocol.ts";
import { type Measured, nameOf, runCell } from "../measure/cell.ts";
import { audit, checkFloor, checkSystem, type Violations } from "../measure/check.ts";
import { type Meter, openMeter } from "../measure/counters.ts";
import { pgbench, runPgbench } from "../measure/pgbench.ts";
import type { BenchOptions } from "../options.ts";
import { cellsReport, progressLine } from "../report/cells-report.ts";
import type { System } from "../system.ts";
import type { StudyContext, StudyResult } from "./study.ts";

export interface Side {
  readonly measured: Measured;
  readonly violations: Violations;
}

export interface CellRun {
  readonly cell: Cell;
  readonly ours: Side;
  readonly floor?: Side;
  readonly pgbenchPerSecond?: number;
}

interface Bench {
  readonly system: System;
  readonly options: BenchOptions;
  readonly meter: Meter;
  readonly api: LoadDriver;
  readonly floor?: { readonly load: LoadDriver; readonly url: string };
}

/** Every cell `runs` times over, ours and the floor one right after the other: both meet the same neighbours. */
export async function studyCells({ options, start, progress }: StudyContext): Promise<StudyResult> {
  const bench = await openBench(await start(), options);
  const runs: CellRun[] = [];
  try {
    for (let round = 1; round <= options.runs; round += 1) {
      for (const cell of options.cells) {
        const run = await runBoth(bench, cell);
        runs.push(run);
        progress(progressLine(run));
      }
    }
    const complaints = [...runs.flatMap(complaintsOf), ...(await audit(bench.system))];
    return { report: cellsReport(runs), complaints, data: runs };
  } finally {
    bench.api.stop();
    bench.floor?.load.stop();
    await bench.meter.close();
  }
}

async function openBench(system: System, options: BenchOptions): Promise<Bench> {
  const target = await prepareApi(system);
  const floor = options.floor ? await prepareFloor(system) : undefined;
  return {
    system,
    options,
    meter: await openMeter(system),
    api: await startLoad(target),
    floor: floor && { load: await startLoad(floor), url: floor.url },
  };
}

async function runBoth(bench: Bench, cell: Cell): Promise<CellRun> {
  const { system, options, meter, api, floor } = bench;
  const { warmSeconds, seconds, patienceMs } = options;
  const request = { cell, warmSeconds, until: { seconds } };
  const run = await runCell(api, meter, request, "api", patienceMs);
  if (cell.flow !== "create") return { cell, ours: { measured: run.measured, violations: [] } };
  const ours = { measured: run.measured, violations: await checkSystem(system, run.finished) };
  const isClosed = cell.perSecond === undefined && !cell.inBursts;
  if (floor === undefined || !isClosed) return { cell, ours };
  const { measured, finished } = await runCell(floor.load, meter, request, "floor", patienceMs);
  const side = { measured, violations: await checkFloor(floor.url, finished) };
  if (!options.pgbench || pgbench === undefined) return { cell, ours, floor: side };
  const rate = await runPgbench(pgbench, floor.url, system.dataDir, cell, options);
  return { cell, ours, floor: side, pgbenchPerSecond: rate };
}

/** What is not right about a run, in words. */
function complaintsOf({ cell, ours, floor }: CellRun): string[] {
  const of = (who: string, { measured, violations }: Side) => [
    ...violations.map((one) => `${nameOf(cell)}, ${who}: ${one}`),
    ...(measured.errors > 0
      ? [`${nameOf(cell)}, ${who}: ${measured.errors} errors, such as ${measured.errorSamples.join(" | ")}`]
      : []),
  ];
  return [...of("ours", ours), ...(floor ? of("floor", floor) : [])];
}
