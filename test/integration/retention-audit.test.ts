import { openDatabase } from "../../lib/database.ts";
import { DEFAULTS } from "../../scripts/audit/options.ts";
import { type Report, reportLines } from "../../scripts/audit/report.ts";
import { runAudit } from "../../scripts/audit/run.ts";
import { configOf, openScene, type SceneDatabases } from "../support/audit-databases.ts";
import { buildScene } from "../support/audit-scene.ts";
import { ID } from "../support/audit-stories.ts";
import { run, useServer } from "../support/service-database.ts";
import { rulesOf, walk } from "./retention.world.ts";

/** What retention has deleted is not missed by the audit, which says so; what it had no right to delete is. */

const server = useServer();
let scene: SceneDatabases;
beforeAll(async () => {
  scene = await openScene(server, buildScene());
}, 120_000);

const OWNERS = ["order", "product", "payment", "customer", "saga"] as const;
type Urls = Awaited<ReturnType<SceneDatabases["with"]>>;

/** Makes everything 200 days older, with each time that the audit compares. */
const OLDER = `do $$ declare c record; begin
  for c in select table_name, column_name from information_schema.columns join information_schema.tables t using (table_name)
           where t.table_schema = 'public' and t.table_type = 'BASE TABLE' and data_type like 'timestamp%'
             and table_name not in ('retention', 'audit_trail') and column_name <> 'expires_at'
  loop execute format('update %I set %I = %I - interval ''200 days''', c.table_name, c.column_name, c.column_name); end loop;
end $$;
update outbox_delivery d set published_at = e.created_at from outbox_events e
where e.position = d.position and d.status = 'PUBLISHED';
update processed_events set duration_ms = 1`;
/** As its retention leaves the bus: 7 days, and it is 200 days later. */
const BUS = "truncate bus_log";

const found = ({ invariants }: Report) =>
  invariants.flatMap(({ id, violations }) =>
    violations.map(({ subject, problem }) => `${id} ${subject} ${problem}`),
  );

async function aged(more: Readonly<Record<string, string>> = {}): Promise<Urls> {
  const statements = OWNERS.map((name) => [name, `${OLDER}; ${more[name] ?? ""}`]);
  return scene.with({ ...Object.fromEntries(statements), bus: BUS });
}

async function forget(urls: Urls): Promise<void> {
  for (const name of OWNERS) {
    const tables = await run<{ name: string }>(urls[name], "select tablename as name from pg_tables");
    const database = openDatabase({ url: urls[name], name: "retention" });
    for (const rule of rulesOf()) {
      if (tables.some((one) => one.name === rule.table) && rule.table !== "tcc_transactions")
        await walk(rule, { database, rowsPerStep: 3, pagesPerStep: 1 });
    }
    await database.close();
  }
}

const audit = (urls: Urls) => runAudit(configOf(urls), { ...DEFAULTS, settleSeconds: 0 });
const forgotten = (report: Report) =>
  Object.fromEntries(
    report.invariants.map(({ id, gone }) => [id, gone.map(({ what, rows }) => [what, rows > 0])]),
  );

test("after retention the audit is clean, and says what it could not look at", async () => {
  const urls = await aged();
  await forget(urls);
  for (const name of ["order", "product", "saga"] as const) {
    const left = await run<{ status: string }>(urls[name], "select distinct status from outbox_delivery");
    expect(left.filter(({ status }) => status === "PUBLISHED")).toEqual([]);
  }
  const report = await audit(urls);
  expect(found(report)).toEqual([]);
  expect(forgotten(report)).toMatchObject({
    I4: [["sagas", true]],
    I7: [["events", true]],
    I8: [["inbox rows", true]],
  });
  expect(reportLines(report).find((line) => line.startsWith("I7"))).toMatch(
    /\d+ events of before \d{4}-.* deleted/,
  );
});

test("in the middle of a walk it is clean too, though later versions are gone and earlier ones are not", async () => {
  const urls = await aged();
  for (const name of ["order", "product", "saga"] as const) {
    await run(
      urls[name],
      `with old as (delete from outbox_delivery where position % 2 = 0 and status = 'PUBLISHED' returning position),
            gone as (delete from outbox_events where position in (select position from old))
       insert into retention (table_name, rows_gone, gone_before)
       select 'outbox_delivery', count(*), now() - interval '30 days' from old`,
    );
  }
  expect(found(await audit(urls))).toEqual([]);
});

test("an order of today whose events are missing is found all the same", async () => {
  const urls = await aged({
    order: `update orders set created_at = now() where id = '${ID.created}'`,
  });
  await forget(urls);
  const problems = found(await audit(urls));
  expect(problems).toEqual([expect.stringContaining(`I7 order ${ID.created} has told of`)]);
});

test("an event that retention had no right to take is missed, whatever else it took", async () => {
  const urls = await aged({
    order: `update outbox_delivery set published_at = now() where position in
              (select position from outbox_events where aggregate_id = '${ID.paid}');
            delete from outbox_events where aggregate_id = '${ID.paid}' and aggregate_version = 2;
            delete from outbox_delivery where position not in (select position from outbox_events)`,
  });
  await forget(urls);
  const problems = found(await audit(urls));
  expect(problems).toEqual(
    expect.arrayContaining([
      expect.stringContaining(`I7 order ${ID.paid} its events were written with the versions 1, 3`),
    ]),
  );
});
