import { randomUUID } from "node:crypto";
import { type Database, withTransaction } from "../../lib/database.ts";
import { type AuditEntry, appendToTrail, trailHead } from "../../mixins/audit-trail.store.ts";
import { TRAIL_RULES } from "../../scripts/audit/audit-trail.ts";
import { run, useServer } from "../support/service-database.ts";

/** The audit trail on a real PostgreSQL: one chain whoever writes at once, and no way to change what stands. */

const server = useServer();

async function open() {
  const { url, open: pool } = await server.fresh("customer");
  const database = pool();
  const check = TRAIL_RULES.find((rule) => rule.database === "customer")?.text ?? "";
  return { url, database, violations: () => run(url, check) };
}

const entry = (more: Partial<AuditEntry> = {}): AuditEntry => ({
  actor: "01990000-0000-7000-8000-0000000000e1",
  action: "customer.create",
  target: `customer ${randomUUID()}`,
  ...more,
});
const append = (database: Database, ...entries: readonly AuditEntry[]) =>
  withTransaction(database, async (tx) => appendToTrail(tx, entries));

test("entries stand as they were written, one after the other, and the head is the last one", async () => {
  const { url, database, violations } = await open();
  expect(await violations()).toEqual([]);
  const detail = { note: 'quotes " and \\ and \n and 山田 and {"json": [1.50]}', count: 3 };
  const entries = [entry({ detail, correlationId: "c-1" }), entry(), entry({ action: "customer.activate" })];
  await append(database, ...entries.slice(0, 2));
  await append(database, ...entries.slice(2));
  const rows = await run(
    url,
    "select sequence::int as sequence, actor, action, target, detail, correlation_id from audit_trail order by sequence",
  );
  expect(rows).toEqual(
    entries.map(({ correlationId = null, detail: more = {}, ...rest }, index) => ({
      sequence: index + 1,
      ...rest,
      detail: more,
      correlation_id: correlationId,
    })),
  );
  const [last] = await run(url, "select encode(hash, 'hex') as hash from audit_trail where sequence = 3");
  expect(await trailHead(database)).toEqual({ sequence: 3, ...last });
  expect(await violations()).toEqual([]);
});

test("many who write at once, some of whom roll back, make one chain without gaps", async () => {
  const { url, database, violations } = await open();
  const refused = new Error("rolled back");
  const writing = Array.from({ length: 40 }, (_, index) =>
    withTransaction(database, async (tx) => {
      appendToTrail(tx, index % 3 === 0 ? [entry(), entry()] : [entry()]);
      if (index % 4 === 0) throw refused;
    }).catch((error: unknown) => expect(error).toBe(refused)),
  );
  await Promise.all(writing);
  const kept = Array.from({ length: 40 }, (_, index) => index).filter((index) => index % 4 !== 0);
  const expected = kept.reduce((sum, index) => sum + (index % 3 === 0 ? 2 : 1), 0);
  const [row] = await run(url, "select count(*)::int as count, max(sequence)::int as last from audit_trail");
  expect(row).toEqual({ count: expected, last: expected });
  expect(await violations()).toEqual([]);
});

test("whoever writes an entry by hand cannot choose its place, its time or its hash", async () => {
  const { url, database, violations } = await open();
  await append(database, entry());
  await run(
    url,
    `insert into audit_trail (sequence, at, actor, action, target, detail, previous_hash, hash)
     values (17, '2000-01-01', 'a', 'b', 'c', '{}', 'x', 'y')`,
  );
  const rows = await run(
    url,
    "select sequence::int as sequence, at > now() - interval '1 hour' as now from audit_trail",
  );
  expect(rows).toEqual([
    { sequence: 1, now: true },
    { sequence: 2, now: true },
  ]);
  expect(await violations()).toEqual([]);
});

test.each([
  "update audit_trail set actor = 'nobody'",
  "delete from audit_trail",
  "truncate audit_trail",
  "update audit_trail_head set sequence = 0",
  "delete from audit_trail_head",
  "truncate audit_trail_head",
])("%s: refused, also to the owner", async (text) => {
  const { url, database, violations } = await open();
  await append(database, entry());
  await expect(run(url, text)).rejects.toThrow(/is append-only/);
  expect(await violations()).toEqual([]);
});

test("a role that may insert and read, and nothing else, can write the trail", async () => {
  const { url, violations } = await open();
  const role = `clerk_${randomUUID().slice(0, 8)}`;
  await run(url, `create role ${role} login password 'x'`);
  await run(url, `grant select, insert on audit_trail to ${role}`);
  await run(
    url,
    `set role ${role}; insert into audit_trail (actor, action, target, detail) values ('a', 'b', 'c', '{}')`,
  );
  await expect(run(url, `set role ${role}; update audit_trail set actor = 'x'`)).rejects.toThrow(
    /permission denied/,
  );
  expect(await violations()).toEqual([]);
  const [row] = await run(url, "select count(*)::int as count from audit_trail");
  expect(row).toEqual({ count: 1 });
});
