import { prepareApi } from "../data.ts";
import { startLoad } from "../load/driver.ts";
import type { Cell, FinishedOrder } from "../load/protocol.ts";
import { type Measured, runCell } from "../measure/cell.ts";
import { checkSystem } from "../measure/check.ts";
import { openMeter } from "../measure/counters.ts";
import { openTableMeter, type TableWork } from "../measure/rows-read.ts";
import { number, percent, table } from "../report/table.ts";
import type { StudyContext, StudyResult } from "./study.ts";

const CHUNK = 5_000;
/** Dearer than this at the end counts as not flat; what a busy machine does to times, it does not to rows. */
const GROWTH_MAX = 1.2;

interface Chunk {
  /** Orders in the database when it began. */
  readonly from: number;
  readonly measured: Measured;
  readonly work?: Work;
}

/** Per order. */
interface Work {
  readonly rows: ReadonlyMap<string, number>;
  readonly rowsInAll: number;
  readonly pages: number;
}

/** Whether an order costs the same on full tables: chunks of 5,000 orders, the second compared with the last. */
export async function studyFlat({ options, start, progress }: StudyContext): Promise<StudyResult> {
  const system = await start();
  const load = await startLoad(await prepareApi(system));
  const meter = await openMeter(system);
  const tables = await openTableMeter(system);
  const cell: Cell = { flow: "create", variant: "uniform", concurrency: options.cells[1]?.concurrency ?? 64 };
  const count = Math.max(3, Math.ceil(options.orders / CHUNK));
  const chunks: Chunk[] = [];
  const finished: FinishedOrder[] = [];
  try {
    for (let index = 0; index < count; index += 1) {
      const compared = index === 1 || index === count - 1;
      const before = compared ? await tables.read() : undefined;
      const from = finished.length;
      const run = await runCell(load, meter, { cell, warmSeconds: 0, until: { orders: CHUNK } }, "api");
      finished.push(...run.finished);
      const work = before && workOf(before, await tables.read(), run.finished.length);
      chunks.push({ from, measured: run.measured, work });
      progress(`${finished.length} orders, ${number(run.measured.ordersPerSecond)}/s`);
    }
    const complaints = [...(await checkSystem(system, finished)), ...complaintsOf(chunks)];
    const data = chunks.map(({ work, ...chunk }) => ({
      ...chunk,
      work: work && { ...work, rows: Object.fromEntries(work.rows) },
    }));
    return { report: report(chunks, cell), complaints, data };
  } finally {
    load.stop();
    await Promise.all([meter.close(), tables.close()]);
  }
}

function workOf(before: TableWork, after: TableWork, orders: number): Work {
  const rows = new Map(
    [...after.rows].map(([name, sum]) => [name, (sum - (before.rows.get(name) ?? 0)) / orders]),
  );
  const rowsInAll = [...rows.values()].reduce((total, one) => total + one, 0);
  return { rows, rowsInAll, pages: (after.pages - before.pages) / orders };
}

function compared(chunks: readonly Chunk[]): readonly [Chunk, Chunk] | undefined {
  const [early, late] = [chunks[1], chunks.at(-1)];
  return early && late && [early, late];
}

function complaintsOf(chunks: readonly Chunk[]): string[] {
  const errors = chunks.reduce((total, { measured }) => total + measured.errors, 0);
  const [early, late] = compared(chunks) ?? [];
  const growth = (late?.work?.rowsInAll ?? 0) / (early?.work?.rowsInAll ?? 1);
  return [
    ...(errors > 0 ? [`${errors} errors`] : []),
    ...(growth > GROWTH_MAX ? [`an order reads ${growth.toFixed(2)} times the rows at the end`] : []),
  ];
}

function report(chunks: readonly Chunk[], cell: Cell): string {
  const columns = [
    "orders before",
    "orders/s",
    "p50",
    "p95 ms",
    "Node ms",
    "PostgreSQL ms",
    "WAL bytes",
    "RSS MB",
    "others",
  ];
  const rows = chunks.map(({ from, measured }) => [
    from.toLocaleString("en-US"),
    number(measured.ordersPerSecond),
    number(measured.latency.p50),
    number(measured.latency.p95),
    number(measured.perOrder.nodeCpuMs),
    number(measured.perOrder.postgresCpuMs),
    number(measured.perOrder.walBytes),
    number(measured.residentMb),
    percent(measured.othersShare),
  ]);
  return [
    `Chunks of ${CHUNK} orders, c=${cell.concurrency}`,
    table(columns, rows),
    "",
    ...workLines(chunks),
  ].join("\n");
}

function workLines(chunks: readonly Chunk[]): string[] {
  const [early, late] = compared(chunks) ?? [];
  if (early?.work === undefined || late?.work === undefined) return [];
  const [before, after] = [early.work, late.work];
  const line = (name: string, one: number, other: number) => [
    name,
    number(one),
    number(other),
    number(other / one),
  ];
  const tables = [...after.rows].sort(([, one], [, other]) => other - one).filter(([, rows]) => rows >= 0.05);
  const rows = [
    line("orders/s", early.measured.ordersPerSecond, late.measured.ordersPerSecond),
    line("pages looked at per order", before.pages, after.pages),
    line("rows read per order", before.rowsInAll, after.rowsInAll),
    ...tables.map(([name, count]) => line(`  ${name}`, before.rows.get(name) ?? 0, count)),
  ];
  const at = ({ from }: Chunk) => `from ${from.toLocaleString("en-US")} on`;
  return [table(["", at(early), at(late), "ratio"], rows)];
}
