import { prepareApi, prepareFloor } from "../data.ts";
import { type LoadDriver, startLoad } from "../load/driver.ts";
import type { Cell, FinishedOrder, FlowKind } from "../load/protocol.ts";
import { type Measured, runCell } from "../measure/cell.ts";
import { checkSystem } from "../measure/check.ts";
import { type Meter, openMeter } from "../measure/counters.ts";
import { type Past, preparePast } from "../measure/past.ts";
import { median } from "../report/median.ts";
import { number, percent, table } from "../report/table.ts";
import type { StudyContext, StudyResult } from "./study.ts";

/** Orders that were really made and paid; the past is made of copies of them. */
const TEMPLATE = 500;
const FLOWS = ["create", "pay"] as const;
/** Slower than this on the largest history counts as not flat, machine for machine: the floor tells how fast that is now. */
const SLOWER_MAX = 1.1;

interface Run {
  readonly past: number;
  readonly flow: FlowKind;
  readonly measured: Measured;
  /** Of the same minute: plain SQL in a database of its own, which does not grow as much. */
  readonly floorPerSecond: number;
}

interface Bench {
  readonly api: LoadDriver;
  readonly floor: LoadDriver;
  readonly meter: Meter;
}

/** Whether an order costs the same beside 0, 100,000 or 1,000,000 past ones. */
export async function studyHistory(context: StudyContext): Promise<StudyResult> {
  const { options, start, progress } = context;
  const system = await start();
  const bench: Bench = {
    api: await startLoad(await prepareApi(system)),
    floor: await startLoad(await prepareFloor(system)),
    meter: await openMeter(system),
  };
  const runs: Run[] = [];
  try {
    await makeTemplate(bench.api);
    const past = await preparePast(system, progress);
    const finished: FinishedOrder[] = [];
    for (const orders of options.sizes) {
      for (const run of await runsBeside(context, bench, past, orders, finished)) runs.push(run);
    }
    const complaints = [...(await checkSystem(system, finished)), ...complaintsOf(runs)];
    return { report: report(runs), complaints, data: runs };
  } finally {
    bench.api.stop();
    bench.floor.stop();
    await bench.meter.close();
  }
}

async function makeTemplate(api: LoadDriver): Promise<void> {
  const cell: Cell = { flow: "pay", variant: "uniform", concurrency: 50, inBursts: true };
  await api.run({ cell, warmSeconds: 0, until: { orders: TEMPLATE }, isExact: true }, noop, noop);
}

function noop(): void {}

async function runsBeside(
  { options, progress }: StudyContext,
  { api, floor, meter }: Bench,
  past: Past,
  orders: number,
  finished: FinishedOrder[],
): Promise<Run[]> {
  if (orders > 0) await past.fillTo(orders);
  const { warmSeconds, seconds, patienceMs } = options;
  const runs: Run[] = [];
  for (let round = 0; round < options.runs; round += 1) {
    for (const flow of FLOWS) {
      const cell: Cell = { flow, variant: "uniform", concurrency: options.cells[0]?.concurrency ?? 64 };
      const request = { cell, warmSeconds, until: { seconds } };
      const ours = await runCell(api, meter, request, "api", patienceMs);
      if (flow === "create") finished.push(...ours.finished);
      const create = { ...request, cell: { ...cell, flow: "create" as const } };
      const { measured } = await runCell(floor, meter, create, "floor", patienceMs);
      runs.push({ past: orders, flow, measured: ours.measured, floorPerSecond: measured.ordersPerSecond });
      progress(`${orders} past orders, ${flow}: ${number(ours.measured.ordersPerSecond)}/s`);
    }
  }
  return runs;
}

interface Summary {
  readonly past: number;
  readonly flow: FlowKind;
  readonly perSecond: number;
  readonly ofFloor: number;
  readonly of: (read: (measured: Measured) => number) => number;
}

function summaries(runs: readonly Run[]): Summary[] {
  const keys = new Map(runs.map(({ past, flow }) => [`${flow} ${past}`, { past, flow }]));
  return [...keys.values()].map(({ past, flow }) => {
    const same = runs.filter((run) => run.past === past && run.flow === flow);
    const middle = (read: (run: Run) => number) => median(same.map(read)) ?? Number.NaN;
    return {
      past,
      flow,
      perSecond: middle(({ measured }) => measured.ordersPerSecond),
      ofFloor: middle(({ measured, floorPerSecond }) => measured.ordersPerSecond / floorPerSecond),
      of: (read) => middle(({ measured }) => read(measured)),
    };
  });
}

function firstOf(all: readonly Summary[], { flow }: Summary): Summary | undefined {
  return all.find((one) => one.flow === flow);
}

function complaintsOf(runs: readonly Run[]): string[] {
  const errors = runs.reduce((sum, { measured }) => sum + measured.errors, 0);
  const all = summaries(runs);
  const slow = all.flatMap((one) => {
    const slower = (firstOf(all, one)?.ofFloor ?? Number.NaN) / one.ofFloor;
    return slower > SLOWER_MAX
      ? [
          `${one.flow}: beside ${one.past} past orders ${slower.toFixed(2)} times slower, measured by the floor`,
        ]
      : [];
  });
  return [...(errors > 0 ? [`${errors} errors`] : []), ...slow];
}

function report(runs: readonly Run[]): string {
  const all = summaries(runs);
  const columns = [
    "past orders",
    "flow",
    "orders/s",
    "p95 ms",
    "of the floor",
    "ratio",
    "ratio by the floor",
    "PostgreSQL ms",
    "ratio",
    "Node ms",
    "WAL bytes",
    "others",
  ];
  const rows = all.map((one) => {
    const first = firstOf(all, one) ?? one;
    const postgresMs = (summary: Summary) => summary.of(({ perOrder }) => perOrder.postgresCpuMs);
    return [
      one.past.toLocaleString("en-US"),
      one.flow,
      number(one.perSecond),
      number(one.of(({ latency }) => latency.p95)),
      number(one.ofFloor),
      number(one.perSecond / first.perSecond),
      number(one.ofFloor / first.ofFloor),
      number(postgresMs(one)),
      number(postgresMs(one) / postgresMs(first)),
      number(one.of(({ perOrder }) => perOrder.nodeCpuMs)),
      number(one.of(({ perOrder }) => perOrder.walBytes)),
      percent(one.of(({ othersShare }) => othersShare)),
    ];
  });
  return ["Beside past orders; ratios to the first line of the same flow", table(columns, rows)].join("\n");
}
