import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { prepareApi } from "../data.ts";
import { type LoadDriver, startLoad } from "../load/driver.ts";
import type { FlowKind, LoadRequest } from "../load/protocol.ts";
import { type Budget, COUNTS, type Cost, costName, overBudget, round } from "../measure/cost.ts";
import { type Inspector, openInspector } from "../measure/inspector.ts";
import {
  callsBetween,
  type Mark,
  openWorkMeter,
  prepareCounting,
  type WorkMeter,
  type Written,
} from "../measure/work.ts";
import { number, table } from "../report/table.ts";
import type { StudyContext, StudyResult } from "./study.ts";

const BUDGET = fileURLToPath(new URL("../cost-budget.json", import.meta.url));
const FLOWS: readonly FlowKind[] = ["create", "pay", "cancel"];
/** Together: orders that begin at once, again and again; the next ones when all have ended. */
const LOADS = [
  { together: 1, orders: 30 },
  { together: 64, orders: 384 },
] as const;
const IDLE_MS = 1_500;
/** Slower than this the machine leaves the pollers so much time that they count among what orders allocate. */
const PER_SECOND_MIN = 40;
/** Of a statement's calls an order: below it is what happens now and then. */
const CALLS_MIN = 0.5;
/** Marks and positions, stored once in 50 ms: how many lone orders share them depends on how fast the machine is. */
const GATHERED = /^(with unblocked as \(delete from outbox_blocked|update bus_offsets o set next_offset)/;

interface Bench {
  readonly load: LoadDriver;
  readonly meter: WorkMeter;
  readonly inspector: Inspector;
  /** What the services do while nobody wants anything, in a millisecond. */
  readonly idle: Rates;
}

interface Rates {
  readonly calls: ReadonlyMap<string, number>;
  readonly written: Written;
}

/** What an order costs in statements, rows, log and memory: figures that a slow or busy machine leaves as they are. */
export async function studyCosts(context: StudyContext): Promise<StudyResult> {
  const { options, start, stop, progress } = context;
  await prepareCounting(await start());
  await stop();
  const system = await start({ inspect: true });
  if (system.inspectorUrl === undefined) throw new Error("--costs looks at npm start's single process");
  const load = await startLoad(await prepareApi(system));
  const meter = await openWorkMeter(system);
  const inspector = await openInspector(system.inspectorUrl);
  const costs: Cost[] = [];
  const errors: string[] = [];
  try {
    for (const flow of FLOWS) await load.run(requestOf(flow, 64, 64), noop, noop);
    await meter.settle();
    const bench = { load, meter, inspector, idle: await idleRates(meter) };
    for (const flow of FLOWS) {
      for (const { together, orders } of LOADS) {
        const { cost, failed } = await costOf(bench, requestOf(flow, together, orders));
        costs.push(cost);
        errors.push(...failed);
        progress(
          `${costName(cost)}: ${number(cost.statements)} statements, ${number(cost.walBytes)} bytes of log`,
        );
      }
    }
  } finally {
    load.stop();
    inspector.close();
    await meter.close();
  }
  if (options.accept) {
    const counts = costs.map(({ byDatabase: _, ...budget }) => budget);
    writeFileSync(BUDGET, `${JSON.stringify(counts, null, 2)}\n`);
  }
  const budget = JSON.parse(readFileSync(BUDGET, "utf8")) as Budget[];
  return { report: report(costs), complaints: [...errors, ...overBudget(costs, budget)], data: costs };
}

function noop(): void {}

function requestOf(
  flow: FlowKind,
  together: number,
  orders: number,
): LoadRequest & { until: { orders: number } } {
  const cell = { flow, variant: "uniform", concurrency: together, inBursts: true } as const;
  return { cell, warmSeconds: 0, until: { orders }, isExact: true };
}

async function idleRates(meter: WorkMeter): Promise<Rates> {
  const from = await meter.mark();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const to = await meter.mark();
  const written = await meter.written(from, to);
  const elapsedMs = to.atMs - from.atMs;
  return {
    calls: new Map(
      callsBetween(from, to).map(({ database, query, calls }) => [database + query, calls / elapsedMs]),
    ),
    written: mapped(written, (count) => count / elapsedMs),
  };
}

async function costOf(
  { load, meter, inspector, idle }: Bench,
  request: LoadRequest & { until: { orders: number } },
): Promise<{ cost: Cost; failed: string[] }> {
  const { cell, until } = request;
  const isLone = cell.concurrency === 1;
  let from: Mark | undefined;
  const begin = async () => {
    await meter.settle();
    if (!isLone) await inspector.startAllocations();
    from = await meter.mark();
  };
  const result = await load.run(request, begin, noop);
  await meter.settle();
  const to = await meter.mark();
  const allocated = isLone ? undefined : await inspector.stopAllocations();
  if (from === undefined) throw new Error("the load process told no beginning");
  const elapsedMs = to.atMs - from.atMs;
  const calls = callsBetween(from, to).filter(isOrders);
  const each = calls.map(({ database, query, calls: count, rows, wal }) => {
    const own = (count - (idle.calls.get(database + query) ?? 0) * elapsedMs) / until.orders;
    return { database, query, own, rows: (rows * own) / count, wal: (wal * own) / count };
  });
  const byTheClock = isLone ? each.filter(({ query }) => GATHERED.test(query)) : [];
  const counted = isLone ? each.filter((one) => one.own >= CALLS_MIN && !byTheClock.includes(one)) : each;
  const written = await meter.written(from, to);
  const commits =
    (written.commits - idle.written.commits * elapsedMs) / until.orders -
    byTheClock.reduce((sum, { own }) => sum + own, 0);
  const cost = {
    flow: cell.flow,
    together: cell.concurrency,
    statements: counted.reduce((sum, { own }) => sum + own, 0),
    rows: counted.reduce((sum, one) => sum + one.rows, 0),
    byDatabase: sharesOf(counted),
    ...mapped(written, (count, key) => (count - idle.written[key] * elapsedMs) / until.orders),
    commits,
    ...(allocated !== undefined &&
      (1_000 * until.orders) / elapsedMs > PER_SECOND_MIN && {
        allocatedKb: allocated / until.orders / 1_024,
      }),
  };
  const failed =
    result.errors > 0 ? [`${costName(cost)}: ${result.errors} errors, ${result.errorSamples}`] : [];
  return { cost: rounded(cost), failed };
}

function sharesOf(
  counted: readonly { readonly database: string; readonly own: number; readonly wal: number }[],
): Cost["byDatabase"] {
  const databases = [...new Set(counted.map(({ database }) => database))].sort();
  const entries = databases.map((name) => {
    const same = counted.filter(({ database }) => database === name);
    const statements = round(same.reduce((sum, { own }) => sum + own, 0));
    return [name, { statements, walBytes: round(same.reduce((sum, { wal }) => sum + wal, 0)) }];
  });
  return Object.fromEntries(entries);
}

/** The bus looks for news as often as there is time for it. */
function isOrders({ database, query }: { database: string; query: string }): boolean {
  return !/^(begin|commit|rollback)$/.test(query) && !(database === "bus" && query.startsWith("select"));
}

function mapped(written: Written, change: (count: number, key: keyof Written) => number): Written {
  const entries = Object.entries(written).map(([key, count]) => [key, change(count, key as keyof Written)]);
  return Object.fromEntries(entries) as Written;
}

function rounded(cost: Cost): Cost {
  const entries = Object.entries(cost).map(([key, value]) => [
    key,
    typeof value === "number" ? round(value) : value,
  ]);
  return Object.fromEntries(entries) as Cost;
}

function report(costs: readonly Cost[]): string {
  const rows = costs.map((cost) => [costName(cost), ...COUNTS.map((count) => number(cost[count]))]);
  return ["What one order costs", table(["", ...COUNTS], rows), "", ...databasesReport(costs)].join("\n");
}

function databasesReport(costs: readonly Cost[]): string[] {
  const databases = [...new Set(costs.flatMap(({ byDatabase }) => Object.keys(byDatabase)))];
  const columns = ["", ...databases.flatMap((name) => [`${name}: statements`, "WAL bytes"])];
  const rows = costs.map((cost) => [
    costName(cost),
    ...databases.flatMap((name) => {
      const share = cost.byDatabase[name];
      return [number(share?.statements), number(share?.walBytes)];
    }),
  ]);
  return ["Of which, by database", table(columns, rows)];
}
