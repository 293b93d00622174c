import { type Measured, nameOf } from "../measure/cell.ts";
import type { PeerRun } from "../studies/peers.ts";
import { median } from "./median.ts";
import { number, percent, table } from "./table.ts";

const OURS = "Holdfast, in process";
const FLOOR = "plain SQL, the floor";

type Read = (measured: Measured) => number | undefined;

/** Medians over the rounds. */
export function peersReport(runs: readonly PeerRun[]): string {
  const contestants = [...new Set(runs.map(({ contestant }) => contestant))];
  const cells = [...new Set(runs.map(({ cell }) => nameOf(cell)))];
  const of = (contestant: string, cell: string, read: Read) =>
    median(
      runs
        .filter((run) => run.contestant === contestant && nameOf(run.cell) === cell)
        .flatMap(({ measured }) => read(measured) ?? []),
    );
  const rate = (contestant: string, cell: string) => of(contestant, cell, (one) => one.ordersPerSecond);
  const peers = contestants.filter((one) => one !== FLOOR && !one.startsWith("Holdfast"));
  const speed = contestants.map((one) => [
    one,
    ...cells.map(
      (cell) =>
        `${number(rate(one, cell))} (${number(of(one, cell, ({ latency }) => latency.p50))} / ${number(of(one, cell, ({ latency }) => latency.p95))})`,
    ),
  ]);
  const ratios = contestants
    .filter((one) => one.startsWith("Holdfast"))
    .flatMap((one) => {
      const best = (cell: string) => Math.max(...peers.map((peer) => rate(peer, cell) ?? 0));
      const to = (other: (cell: string) => number | undefined) =>
        cells.map((cell) => number((rate(one, cell) ?? Number.NaN) / (other(cell) ?? Number.NaN)));
      return [
        [`${one} / floor`, ...to((cell) => rate(FLOOR, cell))],
        [`${one} / best peer`, ...to(best)],
      ];
    });
  return [
    "orders/s (p50 / p95 ms), from the start of an order until it is confirmed",
    table(["", ...cells], [...speed, ...ratios]),
    "",
    ...cells.flatMap((cell) => [`Costs of one order, ${cell}`, costs(cell, contestants, of), ""]),
    spread(runs, contestants, cells),
    "",
    `${OURS} and the others' clients run in the process that makes the orders; by HTTP Node's time is client and services.`,
  ].join("\n");
}

function costs(
  cell: string,
  contestants: readonly string[],
  of: (contestant: string, cell: string, read: Read) => number | undefined,
): string {
  const columns: readonly (readonly [string, Read])[] = [
    ["commits", ({ perOrder }) => perOrder.serverCommits],
    ["WAL bytes", ({ perOrder }) => perOrder.walBytes],
    ["Node ms", ({ perOrder }) => perOrder.nodeCpuMs],
    ["PostgreSQL ms", ({ perOrder }) => perOrder.postgresCpuMs],
    ["server ms", ({ perOrder }) => perOrder.brokersCpuMs],
  ];
  const rows = contestants.map((one) => [
    one,
    ...columns.map(([, read]) => number(of(one, cell, read))),
    percent(of(one, cell, ({ othersShare }) => othersShare) ?? 0),
  ]);
  return table(["", ...columns.map(([title]) => title), "others"], rows);
}

function spread(runs: readonly PeerRun[], contestants: readonly string[], cells: readonly string[]): string {
  const rows = contestants.map((one) => [
    one,
    ...cells.map((cell) => {
      const rates = runs
        .filter((run) => run.contestant === one && nameOf(run.cell) === cell)
        .map(({ measured }) => measured.ordersPerSecond);
      return `${number(Math.min(...rates))} to ${number(Math.max(...rates))}`;
    }),
  ]);
  return ["Least and most of the rounds", table(["", ...cells], rows)].join("\n");
}
