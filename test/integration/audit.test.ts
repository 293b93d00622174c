/**
 * npm run audit on databases that are made row by row: a system in which all is well is found clean, and each
 * deliberate violation is found, named with its id, and nothing else is.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type AuditOptions, DEFAULTS } from "../../scripts/audit/options.ts";
import { exitCodeOf, type Report, reportLines } from "../../scripts/audit/report.ts";
import { runAudit } from "../../scripts/audit/run.ts";
import { configOf, openScene, type SceneDatabases, type Statements } from "../support/audit-databases.ts";
import { AGREEMENT_PLANTS } from "../support/audit-plants-agreement.ts";
import { EVENT_PLANTS } from "../support/audit-plants-events.ts";
import { STATE_PLANTS } from "../support/audit-plants-states.ts";
import { TRAIL_PLANTS } from "../support/audit-plants-trail.ts";
import { buildScene } from "../support/audit-scene.ts";
import { ID, sagaOf } from "../support/audit-stories.ts";
import { run, useServer } from "../support/service-database.ts";

const PLANTS = [...STATE_PLANTS, ...AGREEMENT_PLANTS, ...EVENT_PLANTS, ...TRAIL_PLANTS];
const server = useServer();
const tables = buildScene();
let scene: SceneDatabases;

beforeAll(async () => {
  scene = await openScene(server, tables);
}, 120_000);

/** What is found: the invariants and what they are about. */
const found = ({ invariants }: Report) =>
  invariants.flatMap(({ id, violations }) => violations.map(({ subject }) => `${id} ${subject}`)).sort();

async function audit(statements: Statements, options: Partial<AuditOptions> = {}): Promise<Report> {
  // Nobody writes while we look: there is nothing to wait for.
  return runAudit(configOf(await scene.with(statements)), { ...DEFAULTS, settleSeconds: 0, ...options });
}

test("finds nothing wrong with a system in which all is well, having looked at all of it", async () => {
  const report = await audit({});
  expect(reportLines(report).filter((line) => line.startsWith(" "))).toEqual([]);
  expect(report).toMatchObject({ clean: true, violations: 0, unchecked: 0 });
  expect(exitCodeOf(report)).toBe(0);
  const looked = Object.fromEntries(report.invariants.map(({ id, looked: counts }) => [id, counts]));
  expect(looked).toMatchObject({
    I1: { payments: 4, "ledger entries": 10, "paid orders": 2 },
    I2: { products: 2, adjustments: 3, "reserved lines": 6 },
    I3: { products: 2 },
    I4: { sagas: 7, transactions: 4, holds: 2, payments: 4 },
    I5: { orders: 6, reservations: 6, payments: 4 },
    I6: { answers: 11 },
    I7: { waiting: 0 },
    I8: { "in flight": 0 },
    I9: { orders: 6, steps: 23, lines: 7 },
    I10: { "dead letters": 2, "refused events": 1, "messages put aside": 1 },
    I11: { entries: 3 },
  });
  // One event was refused by the bus, and somebody put one message there that is no event.
  expect(looked.I7?.["messages on the bus"]).toBe((looked.I7?.events ?? 0) - 1 + 1);
  expect(looked.I8?.["inbox rows"]).toBe((looked.I8?.deliveries ?? 0) + 1);
  expect(report.invariants.flatMap(({ notThere }) => notThere)).toEqual([]);
});

test.each(PLANTS)("$invariant: finds $name", async ({ invariant, statements, subjects }) => {
  const report = await audit(typeof statements === "function" ? statements(tables) : statements);
  const expected = typeof subjects === "function" ? subjects(tables) : subjects;
  expect(found(report)).toEqual(expected.map((subject) => `${invariant} ${subject}`).sort());
  expect(exitCodeOf(report)).toBe(1);
});

test("each invariant has at least one violation planted", () => {
  expect(new Set(PLANTS.map(({ invariant }) => invariant)).size).toBe(11);
});

describe("what is under way is no violation", () => {
  test("a deadline that has just passed, unless no grace is given", async () => {
    const saga = `update saga_instances set state = 'RUNNING', wake_at = (select max(updated_at) from saga_instances) - interval '30 s'
                  where id = '${sagaOf(ID.created)}'`;
    await expect(audit({ saga })).resolves.toMatchObject({ clean: true });
    const strict = await audit({ saga }, { graceSeconds: 10 });
    expect(found(strict)).toEqual([`I4 saga ${sagaOf(ID.created)}`]);
  });

  test("stock that a decided transaction has not confirmed yet, an order that is", async () => {
    const report = await audit({
      saga: `update tcc_transactions set state = 'CONFIRMING', wake_at = now() where business_key = '${ID.paid}'`,
      product: `update order_reservations set status = 'HELD' where order_id = '${ID.paid}';
                update stock_reservations set status = 'HELD' where order_id = '${ID.paid}';
                update products set reserved = reserved + 3, sold = sold - 3 where id = '${ID.nails}'`,
    });
    expect(found(report)).toEqual([]);
  });

  test("an event that its group has not read yet", async () => {
    const report = await audit({
      product: `delete from processed_events where event_type = 'RELEASE_STOCK'`,
      bus: `update bus_offsets set next_offset = 0 where group_name = 'product-service-group'`,
    });
    expect(found(report)).toEqual([]);
    expect(report.invariants.find(({ id }) => id === "I8")?.looked["in flight"]).toBe(1);
  });

  test("what was under way when the system stopped, however long ago", async () => {
    const old = (...columns: string[]) =>
      columns
        .map((name) => name.split("."))
        .map(([table, column]) => `update ${table} set ${column} = now() - interval '61 min';`)
        .join("");
    const common = old(
      "outbox_events.created_at",
      "processed_events.processed_at",
      "idempotency_records.created_at",
    );
    const report = await audit({
      order: `${common}${old("orders.updated_at")}
              update outbox_delivery set status = 'PENDING' where position = 1`,
      product: `${common}${old("order_reservations.updated_at", "stock_adjustments.at")}
                update order_reservations set expires_at = now() - interval '59 min' where order_id = '${ID.created}'`,
      payment: `${common}${old("payments.updated_at")}`,
      customer: common,
      saga: `${common}${old("tcc_transactions.created_at", "saga_instances.updated_at")}
             update saga_instances set state = 'RUNNING', wake_at = now() - interval '1 hour'
             where id = '${sagaOf(ID.created)}'`,
    });
    expect(found(report)).toEqual([]);
    expect(Date.now() - Date.parse(report.system.asOf)).toBeGreaterThan(3_500_000);
  });
});

describe("databases that disagree", () => {
  const broken = `update order_reservations set status = 'RELEASED' where order_id = '${ID.created}';
                  update stock_reservations set status = 'RELEASED' where order_id = '${ID.created}';
                  update products set available = available + 2, reserved = reserved - 2 where id = '${ID.nails}';
                  update products set available = available + 1, reserved = reserved - 1 where id = '${ID.lamps}'`;
  const mended = broken
    .replaceAll("RELEASED", "RESERVED")
    .replace(/\+|-(?= \d)/g, (sign) => (sign === "+" ? "-" : "+"));
  const live = "insert into outbox_relays values ('somebody', now() + interval '1 hour')";

  test("are looked at again on a live system, and what has settled is not reported", async () => {
    const urls = await scene.with({ product: broken, order: live });
    let mending: Promise<unknown> = Promise.reject(new Error("the audit has not looked"));
    mending.catch(() => undefined);
    const report = await runAudit(configOf(urls), { ...DEFAULTS, settleSeconds: 30 }, () => {
      mending = run(urls.product, mended);
    });
    await mending;
    expect(found(report)).toEqual([]);
    expect(report.looks).toBeGreaterThan(1);
  });

  test("are reported when they still do after that time", async () => {
    const report = await audit({ product: broken, order: live }, { settleSeconds: 2 });
    expect(found(report)).toEqual([`I5 order ${ID.created}`]);
    expect(report.looks).toBeGreaterThan(1);
    expect(report.system.live).toBe(true);
  });
});

test("shares no code with what it checks", () => {
  const folder = join(__dirname, "..", "..", "scripts", "audit");
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  const imported = new Set(
    sources.flatMap((text) => [...text.matchAll(/from "\.\.\/\.\.\/(.+)"/g)].map(([, path]) => path)),
  );
  expect([...imported].sort()).toEqual(["lib/config.ts", "lib/settings.ts"]);
});

describe("what it cannot look at", () => {
  test("tables of a later release are said to be missing", async () => {
    const report = await audit({
      payment: "drop table payments, refunds, ledger_entries, payment_attempts",
      saga: "drop table tcc_transactions; delete from idempotency_records where operation = 'pay'",
      order: `delete from orders where id = '${ID.paying}'; delete from order_items where order_id = '${ID.paying}';
              delete from order_status_history where order_id = '${ID.paying}'`,
    });
    expect(found(report)).toEqual([`I6 saga ${sagaOf(ID.paying)}`]);
    const [money] = report.invariants;
    expect(money).toMatchObject({ notThere: ["ledger_entries", "payments", "refunds"] });
    expect(reportLines(report)[1]).toBe(
      "I1  money adds up … not there: ledger_entries and payments and refunds, 0 violations",
    );
  });

  test("a bus that cannot be read leaves its part unchecked", async () => {
    const report = await audit({ bus: "drop table bus_log cascade" });
    expect(report).toMatchObject({ violations: 0, unchecked: 2 });
    expect(exitCodeOf(report)).toBe(2);
    expect(reportLines(report).join("\n")).toMatch(/NOT CHECKED: the bus cannot be read: .*bus_log/);
  });

  test("messages that retention has taken are not missed", async () => {
    const report = await audit({
      bus: "delete from bus_log; update bus_topics set retention_ms = 1000",
      ...Object.fromEntries(
        ["order", "product", "payment", "saga"].map((name) => [
          name,
          `update outbox_events set created_at = now() - interval '1 day';
           update processed_events set processed_at = now() - interval '1 day'`,
        ]),
      ),
    });
    expect(found(report)).toEqual([]);
  });

  test("more than twenty violations of one kind are counted, not listed", async () => {
    const report = await audit({ bus: "delete from bus_log" });
    const lines = reportLines(report);
    const at = lines.findIndex((line) => line.startsWith("I7"));
    expect(lines.slice(at + 1, at + 21).every((line) => line.startsWith("      event "))).toBe(true);
    expect(lines[at + 21]).toMatch(/^ {6}and \d+ more$/);
  });
});
