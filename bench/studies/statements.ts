import type pg from "pg";
import { inDatabase, prepareApi } from "../data.ts";
import { startLoad } from "../load/driver.ts";
import { nameOf, runCell } from "../measure/cell.ts";
import { openMeter } from "../measure/counters.ts";
import { number, percent, table } from "../report/table.ts";
import type { StudyContext, StudyResult } from "./study.ts";

interface StatementRow {
  readonly database: string;
  readonly query: string;
  readonly calls: number;
  readonly ms: number;
  readonly rows: number;
  readonly pages: number;
  readonly wal: number;
}

const ALL = `
  select d.datname as database, s.query, s.calls::float8, s.total_exec_time as ms, s.rows::float8,
         (s.shared_blks_hit + s.shared_blks_read)::float8 as pages, s.wal_bytes::float8 as wal
  from pg_stat_statements s join pg_database d on d.oid = s.dbid
  where d.datname like 'oms%'
  order by s.total_exec_time desc`;
const SHOWN = 30;

/** What PostgreSQL spends on which statement. Its time is elapsed time: on a busy machine it holds waits for a core. */
export async function studyStatements(context: StudyContext): Promise<StudyResult> {
  const { options, progress, start, stop } = context;
  const first = await start();
  await inDatabase(first.urlOf("postgres"), async (client) => {
    await client.query("alter system set shared_preload_libraries = 'pg_stat_statements'");
    await client.query("create extension if not exists pg_stat_statements");
  });
  await stop();
  const system = await start();
  const load = await startLoad(await prepareApi(system));
  const meter = await openMeter(system);
  const parts: string[] = [];
  const data: unknown[] = [];
  try {
    for (const cell of options.cells) {
      const { warmSeconds, seconds } = options;
      await load.run({ cell, warmSeconds: 0, until: { seconds: warmSeconds } }, noop, noop);
      const rows = await inDatabase(system.urlOf("postgres"), async (client: pg.Client) => {
        const request = { cell, warmSeconds: 0, until: { seconds } };
        const reset: Promise<unknown>[] = [];
        const { measured, finished } = await runCell(load, meter, request, "api", options.patienceMs, () =>
          reset.push(client.query("select pg_stat_statements_reset()")),
        );
        await Promise.all(reset);
        const found = (await client.query<StatementRow>(ALL)).rows;
        parts.push(...report(nameOf(cell), found, finished.length, measured.perOrder.postgresCpuMs));
        return found;
      });
      progress(`${nameOf(cell)}: ${rows.length} statements`);
      data.push({ cell, rows });
    }
  } finally {
    load.stop();
    await meter.close();
  }
  return { report: parts.join("\n"), complaints: [], data };
}

function noop(): void {}

function report(name: string, found: readonly StatementRow[], orders: number, cpuMs: number): string[] {
  const total = found.reduce((sum, { ms }) => sum + ms, 0);
  const calls = found.reduce((sum, one) => sum + one.calls, 0);
  const rows = found
    .slice(0, SHOWN)
    .map((one) => [
      one.database.replace("oms_", ""),
      one.query.replace(/\s+/g, " ").slice(0, 70).replaceAll("|", "/"),
      number(one.calls / orders),
      number((1_000 * one.ms) / orders),
      percent(one.ms / total),
      number((1_000 * one.ms) / one.calls),
      number(one.rows / one.calls),
      number(one.pages / one.calls),
      number(one.wal / orders),
    ]);
  return [
    `## ${name}: ${number(calls / orders)} statements and ${number(total / orders)} ms in them per order; PostgreSQL's CPU ${number(cpuMs)} ms`,
    table(
      [
        "database",
        "statement",
        "calls/order",
        "us/order",
        "share",
        "us/call",
        "rows/call",
        "pages/call",
        "WAL/order",
      ],
      rows,
    ),
    "",
  ];
}
