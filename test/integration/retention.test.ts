import { randomUUID } from "node:crypto";
import { ServiceBroker } from "moleculer";
import { closeBus } from "../../lib/bus/broker-bus.ts";
import { withTransaction } from "../../lib/database.ts";
import { defineService } from "../../lib/define.ts";
import type { MigratedName } from "../../migrations/run.ts";
import { database } from "../../mixins/database.mixin.ts";
import { recordEvents } from "../../mixins/inbox.store.ts";
import { appendEvents } from "../../mixins/outbox.store.ts";
import { retention } from "../../mixins/retention.mixin.ts";
import { deleteOld, walkStatement } from "../../mixins/retention.store.ts";
import { run, useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { ruleOf, rulesOf, walk } from "./retention.world.ts";

/** What has outlived its time is deleted, in small steps, by one node at a time, and nothing else is. */

const server = useServer();

const uuid = (number: number) => `0199aaaa-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
const days = (count: number) => `now() - interval '${count} days'`;

interface Case {
  readonly table: string;
  readonly of: MigratedName;
  readonly rows: readonly string[];
  /** What identifies a row, and those that stay. */
  readonly key: string;
  readonly stay: readonly unknown[];
}

const event = (position: number, status: string, published: string) => [
  `insert into outbox_events (position, id, aggregate_type, aggregate_id, aggregate_version, event_type, topic, payload, headers, created_at)
   overriding system value values (${position}, '${uuid(position)}', 'order', '${uuid(1)}', ${position}, 'T', 't', '{}', '{}', ${days(100)})`,
  `insert into outbox_delivery (position, event_id, bucket, status, published_at) values (${position}, '${uuid(position)}', 0, '${status}', ${published})`,
];
const barrier = (gid: number, op: string, age: number, origin = op) =>
  `insert into tcc_barriers (gid, branch, op, origin, created_at) values ('${uuid(gid)}', 'order', '${op}', '${origin}', ${days(age)})`;
const record = (key: string, expires: string) =>
  `insert into idempotency_records (subject, key, operation, request_hash, status, expires_at) values ('s', '${key}', 'o', 'h', 'COMPLETED', ${expires})`;
const received = (id: number, age: number) =>
  `insert into processed_events (consumer_group, event_id, event_type, topic, partition, "offset", result, processed_at)
   values ('g', '${uuid(id)}', 'T', 't', 0, ${id}, 'PROCESSED', ${days(age)})`;
const saga = (id: number, state: string, wake: string, age: number) =>
  `insert into saga_instances (id, saga_type, state, attempt, version, published, business_key, owner_id, correlation_id, input, progress, wake_at, updated_at)
   values ('${uuid(id)}', 'T', '${state}', 1, 1, 0, '${uuid(id)}', '${uuid(1)}', 'c', '{}', '{}', ${wake}, ${days(age)})`;
const transaction = (id: number, state: string, wake: string, age: number) =>
  `insert into tcc_transactions (id, tcc_type, state, version, attempt, business_key, owner_id, correlation_id, input, participants, expires_at, wake_at, updated_at)
   values ('${uuid(id)}', 'T', '${state}', 1, 1, '${uuid(id)}', '${uuid(1)}', 'c', '{}', '[]', now(), ${wake}, ${days(age)})`;

const letter = (id: number, status: string, age: number) =>
  `insert into dead_letters (id, event_id, source, topic, event_type, correlation_id, error_type, error_message, attempts, letter, at, status, redriven_at)
   values ('${uuid(id)}', '${uuid(id)}', 's', 't', 'T', 'c', 'E', 'm', 1, '{}', ${days(age)}, '${status}', ${days(age)})`;

const CASES: readonly Case[] = [
  {
    table: "outbox_delivery",
    of: "order",
    rows: [
      ...event(1, "PUBLISHED", days(31)),
      ...event(2, "PUBLISHED", days(29)),
      ...event(3, "PENDING", "null"),
      ...event(4, "FAILED", "null"),
    ],
    key: "position",
    stay: [2, 3, 4],
  },
  {
    table: "processed_events",
    of: "order",
    rows: [received(1, 61), received(2, 59)],
    key: `"offset"`,
    stay: [2],
  },
  {
    table: "idempotency_records",
    of: "order",
    rows: [
      record("expired", "now() - interval '1 second'"),
      record("fresh", "now() + interval '1 hour'"),
      record("in hand", "null"),
    ],
    key: "key",
    stay: ["fresh", "in hand"],
  },
  {
    table: "tcc_barriers",
    of: "order",
    rows: [
      ...[barrier(1, "try", 90), barrier(1, "confirm", 31)],
      ...[barrier(2, "try", 90)],
      ...[barrier(3, "try", 90), barrier(3, "cancel", 29)],
      ...[barrier(4, "try", 31, "cancel"), barrier(4, "cancel", 31)],
    ],
    key: "gid || op",
    stay: [`${uuid(2)}try`, `${uuid(3)}cancel`, `${uuid(3)}try`],
  },
  {
    table: "outbox_relays",
    of: "order",
    rows: [`insert into outbox_relays values ('dead', ${days(2)}), ('alive', now() + interval '5 seconds')`],
    key: "owner",
    stay: ["alive"],
  },
  {
    table: "order_tombstones",
    of: "order",
    rows: [`insert into order_tombstones values ('${uuid(1)}', ${days(31)}), ('${uuid(2)}', ${days(29)})`],
    key: "order_id",
    stay: [uuid(2)],
  },
  {
    table: "psp_events",
    of: "payment",
    rows: [
      `insert into psp_events values ('p', 'old', 't', null, 'ignored', ${days(91)}), ('p', 'young', 't', null, 'ignored', ${days(89)})`,
    ],
    key: "event_id",
    stay: ["young"],
  },
  {
    table: "saga_instances",
    of: "saga",
    rows: [
      saga(1, "COMPLETED", "null", 91),
      saga(2, "COMPENSATED", "null", 91),
      saga(3, "COMPLETED", "null", 89),
      saga(4, "STUCK", "now()", 91),
      saga(5, "STUCK", "null", 91),
      saga(6, "COMPLETED", "now()", 91),
    ],
    key: "id",
    stay: [uuid(3), uuid(4), uuid(5), uuid(6)],
  },
  {
    table: "tcc_transactions",
    of: "saga",
    rows: [
      transaction(1, "CONFIRMED", "null", 91),
      transaction(2, "CANCELLED", "null", 91),
      transaction(3, "CONFIRMED", "null", 89),
      transaction(4, "CONFIRMING", "now()", 91),
    ],
    key: "id",
    stay: [uuid(3), uuid(4)],
  },
  {
    table: "dead_letters",
    of: "saga",
    rows: [letter(1, "REDRIVEN", 91), letter(2, "REDRIVEN", 89), letter(3, "OPEN", 91)],
    key: "id",
    stay: [uuid(2), uuid(3)],
  },
];

test("every rule has its case here", () => {
  expect(CASES.map(({ table }) => table).sort()).toEqual(
    rulesOf()
      .map(({ table }) => table)
      .sort(),
  );
});

test.each(CASES)(
  "$table: what is past its time goes, all else stays",
  async ({ table, of, rows, key, stay }) => {
    const { url, open } = await server.fresh(of);
    const database = open();
    for (const row of rows) await run(url, row);
    const keys = async () =>
      (await run<{ key: unknown }>(url, `select ${key} as key from ${table} order by 1`)).map(
        (row) => row.key,
      );
    const before = await keys();
    const gone = await walk(ruleOf(table), { database });
    expect((await keys()).map(String)).toEqual(stay.map(String));
    // The tries of ended branches go with their ends, uncounted.
    if (table !== "tcc_barriers") expect(gone).toBe(before.length - stay.length);
    await expect(walk(ruleOf(table), { database })).resolves.toBe(0);
  },
);

test("an event leaves the outbox with its delivery", async () => {
  const { url, open } = await server.fresh("order");
  for (const row of [...event(1, "PUBLISHED", days(31)), ...event(2, "FAILED", "null")]) await run(url, row);
  await walk(ruleOf("outbox_delivery"), { database: open() });
  await expect(run(url, "select position from outbox_events")).resolves.toEqual([{ position: 2 }]);
});

test("steps are small, and what has gone is on record", async () => {
  const { url, open } = await server.fresh("order");
  await run(
    url,
    `insert into processed_events select 'g', gen_random_uuid(), 'T', 't', 0, n, 'PROCESSED', 0,
       case when n % 10 = 0 then now() else ${days(61)} end from generate_series(1, 3000) n`,
  );
  const steps: number[] = [];
  const database = open();
  const gone = await walk(ruleOf("processed_events"), {
    database,
    rowsPerStep: 100,
    pagesPerStep: 4,
    onGone: (_, rows) => steps.push(rows),
  });
  expect(gone).toBe(2_700);
  expect(Math.max(...steps)).toBe(100);
  expect(database.counters.commits).toBeGreaterThanOrEqual(steps.length);
  const [noted] = await run<{ rows_gone: number; ago: number }>(
    url,
    `select rows_gone, extract(epoch from now() - gone_before)::int / 86400 as ago from retention
     where table_name = 'processed_events'`,
  );
  expect(noted).toEqual({ rows_gone: 2_700, ago: 60 });
  await expect(run(url, "select count(*)::int from processed_events")).resolves.toEqual([{ count: 300 }]);
});

test("of two nodes at once one walks, and the other neither helps nor follows", async () => {
  const { url, open } = await server.fresh("order");
  await run(
    url,
    `insert into processed_events select 'g', gen_random_uuid(), 'T', 't', 0, n, 'PROCESSED', 0, ${days(61)}
     from generate_series(1, 2000) n`,
  );
  const options = { rowsPerStep: 50, intervalMs: 3_600_000 };
  const nodes = [open(), open()];
  const walks = () =>
    Promise.all(nodes.map((database) => walk(ruleOf("processed_events"), { database, ...options })));
  expect((await walks()).sort()).toEqual([2_000, undefined]);
  await expect(walks()).resolves.toEqual([undefined, undefined]);
  await run(url, "update retention set due_at = now()");
  expect((await walks()).sort()).toEqual([0, undefined]);
});

test("a node that died in the middle is followed by another when its lease is over", async () => {
  const { url, open } = await server.fresh("order");
  await run(url, received(1, 61));
  await run(
    url,
    "insert into retention (table_name, owner, leased_until) values ('processed_events', 'dead', now() + interval '1 minute')",
  );
  const database = open();
  await expect(walk(ruleOf("processed_events"), { database })).resolves.toBeUndefined();
  await run(url, "update retention set leased_until = now()");
  await expect(walk(ruleOf("processed_events"), { database })).resolves.toBe(1);
});

test("a node that stops leaves the rest to the next one, at once", async () => {
  const { url, open } = await server.fresh("order");
  await run(
    url,
    `insert into processed_events select 'g', gen_random_uuid(), 'T', 't', 0, n, 'PROCESSED', 0, ${days(61)}
     from generate_series(1, 500) n`,
  );
  const stop = new AbortController();
  const database = open();
  const first = await walk(ruleOf("processed_events"), {
    database,
    rowsPerStep: 50,
    intervalMs: 3_600_000,
    // Far longer than a test may take: being stopped ends the pause.
    pauseMs: 3_600_000,
    signal: stop.signal,
    onGone: () => setImmediate(() => stop.abort()),
  });
  expect(first).toBe(50);
  await expect(walk(ruleOf("processed_events"), { database, intervalMs: 3_600_000 })).resolves.toBe(450);
});

test("it waits for no row that somebody has locked, and takes it the next time", async () => {
  const { url, open } = await server.fresh("order");
  for (const id of [1, 2, 3]) await run(url, received(id, 61));
  const [database, other] = [open({ lockTimeoutMs: 100 }), open()];
  const holder = await other.pool.connect();
  await holder.query(`begin; select 1 from processed_events where "offset" = 2 for update`);
  await expect(walk(ruleOf("processed_events"), { database })).resolves.toBe(2);
  await holder.query("rollback");
  holder.release();
  await expect(walk(ruleOf("processed_events"), { database })).resolves.toBe(1);
});

test("while a step is open, orders go on: nobody's insert waits for it", async () => {
  const { url, open } = await server.fresh("order");
  await run(url, received(1, 61));
  for (const row of event(900, "PUBLISHED", days(31))) await run(url, row);
  const hot = open({ lockTimeoutMs: 100 });
  await withTransaction(open(), async (tx) => {
    for (const table of ["processed_events", "outbox_delivery"])
      await deleteOld(tx, walkStatement(ruleOf(table)), { from: 0, to: 1 }, 31 * 86_400_000 - 60_000, 10);
    await withTransaction(hot, async (meanwhile) => {
      const message = {
        topic: "t",
        partition: 0,
        offset: "7",
        key: "",
        value: "",
        headers: {},
        timestampMs: 0,
      };
      const row = { eventId: randomUUID(), eventType: "T", message, result: "PROCESSED" } as const;
      await recordEvents(meanwhile, "g", [row]);
      appendEvents(meanwhile, [
        {
          ...{ type: "T", topic: "t", aggregateType: "order", aggregateId: uuid(9), aggregateVersion: 1 },
          ...{ version: 1, correlationId: "c", data: {} },
        },
      ]);
    });
  });
});

test("a step reads its pages and no others", async () => {
  const { open } = await server.fresh("saga");
  const client = await open().pool.connect();
  for (const rule of rulesOf().filter(({ table }) => !/psp_events|order_tombstones/.test(table))) {
    await client.query(`prepare walk_${rule.table} (tid, tid, float8, int) as ${walkStatement(rule).text}`);
    const { rows } = await client.query<{ "QUERY PLAN": string }>(
      `explain execute walk_${rule.table}('(0,0)', '(64,0)', 0, 500)`,
    );
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toContain(`Tid Range Scan on ${rule.table}`);
    expect(plan).not.toContain("Seq Scan");
  }
  client.release();
});

test("a consumer remembers for as long as its topics can bring an event again, whatever the settings say", async () => {
  const keptOf = async (retentionMs: number) => {
    const rules = rulesOf({}, [{ name: "oms.orders.events", partitions: 1, retentionMs }]);
    return (await ruleOf("processed_events", rules).keptMs()) / 86_400_000;
  };
  await expect(keptOf(7 * 86_400_000)).resolves.toBe(60);
  await expect(keptOf(100 * 86_400_000)).resolves.toBe(121);
  await expect(keptOf(-1)).resolves.toBe(Number.POSITIVE_INFINITY);
  const { url, open } = await server.fresh("order");
  await run(url, received(1, 4_000));
  const forEver = { ...ruleOf("processed_events"), keptMs: () => Number.POSITIVE_INFINITY };
  await expect(walk(forEver, { database: open() })).resolves.toBe(0);
});

test("a service with the mixin forgets by itself, and one table that cannot be walked keeps no other", async () => {
  const { url } = await server.fresh("order");
  await run(url, record("expired", "now() - interval '1 second'"));
  await run(url, "alter table processed_events rename to elsewhere");
  process.env.ORDER_DATABASE_URL = url;
  process.env.BUS_DATABASE_URL = (await server.fresh("bus")).url;
  const broker = new ServiceBroker({ logger: false, middlewares: [closeBus] });
  broker.createService(defineService()({ name: "shelf", mixins: [retention("shelf"), database("order")] }));
  await broker.start();
  try {
    await until("the expired record gone", async () => {
      const [row] = await run<{ left: number }>(url, "select count(*)::int as left from idempotency_records");
      return row?.left === 0;
    });
  } finally {
    await broker.stop();
  }
});
