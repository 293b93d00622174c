import { inDatabase, prepareApi } from "../data.ts";
import { type LoadDriver, startLoad } from "../load/driver.ts";
import type { Cell } from "../load/protocol.ts";
import { type Measured, runCell } from "../measure/cell.ts";
import { openMeter } from "../measure/counters.ts";
import { median } from "../report/median.ts";
import { number, table } from "../report/table.ts";
import type { System } from "../system.ts";
import type { StudyContext, StudyResult } from "./study.ts";

/** What p99 may grow by while rows are deleted: within what it varies by anyway. */
const GROWTH_MAX = 1.25;

const OLD_ROWS: readonly string[] = [
  `with appended as (
     insert into outbox_events (id, aggregate_type, aggregate_id, aggregate_version, event_type, topic, payload, headers, created_at)
     select gen_random_uuid(), 'order', gen_random_uuid(), 1, 'ORDER_COMPLETED', 'oms.orders.events', '{}', '{}', now() - interval '400 days'
     from generate_series(1, $1::int) returning position, id
   )
   insert into outbox_delivery (position, event_id, bucket, status, published_at)
   select position, id, 0, 'PUBLISHED', now() - interval '400 days' from appended`,
  `insert into processed_events (consumer_group, event_id, event_type, topic, partition, "offset", result, processed_at)
   select 'bench', gen_random_uuid(), 'ORDER_COMPLETED', 'oms.orders.events', 0, 0, 'done', now() - interval '400 days'
   from generate_series(1, $1::int)`,
];
const GONE = "select coalesce(sum(rows_gone), 0)::float8 as gone from retention";
const DATABASES = ["order", "product", "saga"] as const;

/** Whether orders feel it when old rows leave: before there are any, and while they are deleted. */
export async function studyRetention({ options, start, stop, progress }: StudyContext): Promise<StudyResult> {
  const cell: Cell = { flow: "create", variant: "uniform", concurrency: options.cells[0]?.concurrency ?? 16 };
  const measure = async (system: System, load: LoadDriver): Promise<Measured[]> => {
    const meter = await openMeter(system);
    const runs: Measured[] = [];
    try {
      for (let round = 0; round < options.runs; round += 1) {
        const { warmSeconds, seconds } = options;
        runs.push((await runCell(load, meter, { cell, warmSeconds, until: { seconds } }, "api")).measured);
      }
    } finally {
      await meter.close();
    }
    return runs;
  };
  const phase = async (system: System): Promise<Phase> => {
    const load = await startLoad(await prepareApi(system));
    try {
      const before = await goneFrom(system);
      const from = performance.now();
      const runs = await measure(system, load);
      const perSecond = ((await goneFrom(system)) - before) / ((performance.now() - from) / 1_000);
      return { runs, deletedPerSecond: perSecond };
    } finally {
      load.stop();
    }
  };
  const first = await start();
  const quiet = await phase(first);
  progress(`without: p99 ${number(p99(quiet))} ms`);
  for (const name of DATABASES) {
    await inDatabase(first.demo.databases[name], async (client) => {
      for (const text of OLD_ROWS) await client.query(text, [options.orders]);
      // Each walk is due at once.
      await client.query("update retention set due_at = '-infinity'");
    });
  }
  await stop();
  const deleting = await phase(await start());
  progress(`while rows are deleted: p99 ${number(p99(deleting))} ms`);
  const complaints = [
    ...(deleting.deletedPerSecond < 1 ? ["nothing was deleted meanwhile"] : []),
    ...(p99(deleting) > p99(quiet) * GROWTH_MAX
      ? [`p99 ${number(p99(deleting))} instead of ${number(p99(quiet))} ms while rows are deleted`]
      : []),
  ];
  return { report: report(quiet, deleting, cell), complaints, data: { quiet, deleting } };
}

interface Phase {
  readonly runs: readonly Measured[];
  readonly deletedPerSecond: number;
}

async function goneFrom(system: System): Promise<number> {
  const counts = await Promise.all(
    DATABASES.map((name) =>
      inDatabase(system.demo.databases[name], async (client) =>
        Number((await client.query<{ gone: number }>(GONE)).rows[0]?.gone),
      ),
    ),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function middle({ runs }: Phase, read: (measured: Measured) => number): number {
  return median(runs.map(read)) ?? Number.NaN;
}

function p99(phase: Phase): number {
  return middle(phase, ({ latency }) => latency.p99);
}

function report(quiet: Phase, deleting: Phase, { concurrency }: Cell): string {
  const line = (name: string, phase: Phase) => [
    name,
    number(phase.deletedPerSecond),
    number(middle(phase, ({ ordersPerSecond }) => ordersPerSecond)),
    number(middle(phase, ({ latency }) => latency.p50)),
    number(middle(phase, ({ latency }) => latency.p95)),
    number(p99(phase)),
  ];
  const columns = ["", "rows deleted/s", "orders/s", "p50", "p95", "p99 ms"];
  const rows = [line("nothing is old", quiet), line("old rows leave", deleting)];
  return [`Orders at c=${concurrency} while retention deletes`, table(columns, rows)].join("\n");
}
