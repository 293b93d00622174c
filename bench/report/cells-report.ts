import { type Measured, nameOf } from "../measure/cell.ts";
import type { CellRun } from "../studies/cells.ts";
import { median } from "./median.ts";
import { number, percent, table } from "./table.ts";

/** One line as soon as a cell is done. */
export function progressLine({ cell, ours, floor, pgbenchPerSecond }: CellRun): string {
  const { ordersPerSecond, latency, perOrder, othersShare } = ours.measured;
  const parts = [
    `${nameOf(cell).padEnd(13)} ${number(ordersPerSecond)} orders/s`,
    `p50 ${number(latency.p50)} ms`,
    `Node ${number(perOrder.nodeCpuMs)} + PostgreSQL ${number(perOrder.postgresCpuMs)} ms CPU`,
    `others ${percent(othersShare)}`,
  ];
  if (floor) parts.push(`floor ${number(floor.measured.ordersPerSecond)}/s`);
  if (pgbenchPerSecond !== undefined) parts.push(`pgbench ${number(pgbenchPerSecond)}/s`);
  return parts.join(", ");
}

type Read = (run: CellRun) => number | undefined;
const ours = (read: (measured: Measured) => number | undefined): Read => {
  return (run) => read(run.ours.measured);
};
const floor = (read: (measured: Measured) => number | undefined): Read => {
  return (run) => run.floor && read(run.floor.measured);
};
const ratio: Read = (run) =>
  run.floor && run.ours.measured.ordersPerSecond / run.floor.measured.ordersPerSecond;

const SPEED: readonly (readonly [string, Read])[] = [
  ["orders/s", ours((one) => one.ordersPerSecond)],
  ["p50", ours((one) => one.latency.p50)],
  ["p95", ours((one) => one.latency.p95)],
  ["p99 ms", ours((one) => one.latency.p99)],
  ["202: p50", ours((one) => one.accept?.p50)],
  ["p95 ms", ours((one) => one.accept?.p95)],
  ["floor/s", floor((one) => one.ordersPerSecond)],
  ["p50", floor((one) => one.latency.p50)],
  ["p95 ms", floor((one) => one.latency.p95)],
  ["pgbench/s", (run) => run.pgbenchPerSecond],
  ["ours/floor", ratio],
];

const PAYMENTS: readonly (readonly [string, Read])[] = [
  ["try: p50", ours((one) => one.phases.try.p50)],
  ["p95 ms", ours((one) => one.phases.try.p95)],
  ["confirm: p50", ours((one) => one.phases.confirm.p50)],
  ["p95 ms", ours((one) => one.phases.confirm.p95)],
];

const COSTS: readonly (readonly [string, Read])[] = [
  ["statements", ours((one) => one.perOrder.statements)],
  ["commits", ours((one) => one.perOrder.commits)],
  ["server commits", ours((one) => one.perOrder.serverCommits)],
  ["WAL bytes", ours((one) => one.perOrder.walBytes)],
  ["Node ms", ours((one) => one.perOrder.nodeCpuMs)],
  ["PostgreSQL ms", ours((one) => one.perOrder.postgresCpuMs)],
  ["brokers ms", ours((one) => one.perOrder.brokersCpuMs)],
  ["client ms", ours((one) => one.perOrder.clientCpuMs)],
  ["RSS MB", ours((one) => one.residentMb)],
  ["others %", ours((one) => 100 * one.othersShare)],
  ["idle %", ours((one) => 100 * one.idleShare)],
  ["floor: Node ms", floor((one) => one.perOrder.nodeCpuMs)],
  ["PostgreSQL ms", floor((one) => one.perOrder.postgresCpuMs)],
  ["WAL bytes", floor((one) => one.perOrder.walBytes)],
];

export function cellsReport(runs: readonly CellRun[]): string {
  const cells = new Map<string, CellRun[]>();
  for (const run of runs) {
    const name = nameOf(run.cell);
    cells.set(name, [...(cells.get(name) ?? []), run]);
  }
  const rows = (columns: readonly (readonly [string, Read])[], shown = (_: CellRun) => true) =>
    [...cells]
      .filter(([, same]) => same.some(shown))
      .map(([name, same]) => [name, ...columns.map(([, read]) => medianOf(same, read))]);
  const titles = (first: string, columns: readonly (readonly [string, Read])[]) => [
    first,
    ...columns.map(([title]) => title),
  ];
  return [
    "Speed: from the POST until the order is confirmed, paid or cancelled; floor: the same rows by plain SQL",
    table(titles("cell", SPEED), rows(SPEED)),
    ...(runs.some(hasPayments)
      ? [
          "",
          "Payments, as oms_tcc_phase_duration_seconds has them: try until the decision, confirm until the end",
          table(titles("cell", PAYMENTS), rows(PAYMENTS, hasPayments)),
        ]
      : []),
    "",
    "Costs of one order",
    table(titles("cell", COSTS), rows(COSTS)),
    ...spreadLines(cells),
  ].join("\n");
}

function hasPayments({ ours: { measured } }: CellRun): boolean {
  return measured.phases.try.p50 !== undefined;
}

function medianOf(runs: readonly CellRun[], read: Read): string {
  return number(median(valuesOf(runs, read)));
}

function valuesOf(runs: readonly CellRun[], read: Read): number[] {
  return runs.flatMap((run) => read(run) ?? []).sort((one, other) => one - other);
}

/** Only where there is more than one run of a cell. */
function spreadLines(cells: ReadonlyMap<string, readonly CellRun[]>): string[] {
  const range = (runs: readonly CellRun[], read: Read) => {
    const values = valuesOf(runs, read);
    return [number(values[0]), number(median(values)), number(values.at(-1))];
  };
  const rows = [...cells]
    .filter(([, runs]) => runs.length > 1)
    .map(([name, runs]) => [
      name,
      String(runs.length),
      ...range(runs, SPEED[0]?.[1] ?? ratio),
      ...range(
        runs,
        floor((one) => one.ordersPerSecond),
      ),
      ...range(runs, ratio),
    ]);
  if (rows.length === 0) return [];
  const of = (what: string) => [`${what}: least`, "median", "most"];
  const titles = ["cell", "runs", ...of("orders/s"), ...of("floor"), ...of("ours/floor")];
  return ["", "Spread over the runs; the tables above hold the medians", table(titles, rows)];
}
