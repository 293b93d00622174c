import pg from "pg";
import { inDatabase } from "../data.ts";
import type { System } from "../system.ts";

/** Where PostgreSQL's work stood at a moment. It is counted, not timed: the same on any machine. */
export interface Mark {
  readonly atMs: number;
  readonly statements: ReadonlyMap<string, Calls>;
  /** Where the write-ahead log ended. */
  readonly wal: string;
}

interface Calls {
  readonly database: string;
  readonly query: string;
  readonly calls: number;
  readonly rows: number;
  /** Bytes of log, images of whole pages among them. */
  readonly wal: number;
}

/** What the write-ahead log tells of a stretch of itself, but for images of whole pages: these depend on checkpoints. */
export interface Written {
  readonly commits: number;
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly rowLocks: number;
  readonly indexEntries: number;
  readonly walBytes: number;
}

export interface WorkMeter {
  mark(): Promise<Mark>;
  written(from: Mark, to: Mark): Promise<Written>;
  /** Waits until what the orders led to has been done: their events are on the bus. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** Makes the server count, once it has been started again, and do nothing by the clock that is not the services'. */
export async function prepareCounting(system: System): Promise<void> {
  await inDatabase(system.urlOf("postgres"), async (client) => {
    for (const setting of SETTINGS) await client.query(`alter system set ${setting}`);
    await client.query("create extension if not exists pg_stat_statements");
    await client.query("create extension if not exists pg_walinspect");
  });
}

const SETTINGS = [
  "shared_preload_libraries = 'pg_stat_statements'",
  "autovacuum = off",
  "checkpoint_timeout = '1h'",
];
const STATEMENTS = `
  select substring(d.datname from 5) as database, s.query, sum(s.calls)::float8 as calls, sum(s.rows)::float8 as rows,
         sum(s.wal_bytes)::float8 as wal
  from pg_stat_statements s join pg_database d on d.oid = s.dbid
  where d.datname like 'oms\\_%' and s.query not like '%bench\\_%'
  group by 1, 2`;
const POSITION = "select pg_current_wal_insert_lsn()::text as wal";
const WAL = `
  select "resource_manager/record_type" as kind, count::float8 as count, record_size::float8 as size
  from pg_get_wal_stats($1::pg_lsn, $2::pg_lsn, true) where count > 0`;
const PENDING = "select count(*) as bench_pending from outbox_delivery where status <> 'PUBLISHED'";
const SETTLE_MS = 30_000;

interface WalRow {
  readonly kind: string;
  readonly count: number;
  readonly size: number;
}

export async function openWorkMeter(system: System): Promise<WorkMeter> {
  const client = await connected(system.urlOf("postgres"));
  const { order, product, payment, saga } = system.demo.databases;
  const outboxes = await Promise.all([order, product, payment, saga].map(connected));
  const pending = async (outbox: pg.Client) =>
    Number((await outbox.query<{ bench_pending: string }>(PENDING)).rows[0]?.bench_pending);
  return {
    async mark() {
      const { rows } = await client.query<Calls>(STATEMENTS);
      const position = await client.query<{ wal: string }>(POSITION);
      return {
        atMs: performance.now(),
        statements: new Map(rows.map((row) => [`${row.database} ${row.query}`, row])),
        wal: position.rows[0]?.wal ?? "",
      };
    },
    async written(from, to) {
      return writtenOf((await client.query<WalRow>(WAL, [from.wal, to.wal])).rows);
    },
    async settle() {
      const deadline = performance.now() + SETTLE_MS;
      for (;;) {
        const counts = await Promise.all(outboxes.map(pending));
        if (counts.every((count) => count === 0)) return;
        if (performance.now() > deadline) throw new Error(`events are not on the bus: ${counts}`);
      }
    },
    async close() {
      await Promise.all([client, ...outboxes].map((one) => one.end()));
    },
  };
}

/** What was called in between. */
export function callsBetween(from: Mark, to: Mark): Calls[] {
  return [...to.statements].flatMap(([name, { database, query, calls, rows, wal }]) => {
    const before = from.statements.get(name) ?? { calls: 0, rows: 0, wal: 0 };
    const between = {
      database,
      query,
      calls: calls - before.calls,
      rows: rows - before.rows,
      wal: wal - before.wal,
    };
    return between.calls > 0 ? between : [];
  });
}

function writtenOf(rows: readonly WalRow[]): Written {
  const count = (kind: RegExp) => rows.reduce((sum, row) => sum + (kind.test(row.kind) ? row.count : 0), 0);
  return {
    commits: count(/^Transaction\/COMMIT/),
    inserts: count(/^Heap\/INSERT/),
    updates: count(/^Heap\/(HOT_)?UPDATE/),
    deletes: count(/^Heap\/DELETE/),
    rowLocks: count(/^Heap\/LOCK/),
    // A page that is split takes the entry in with the split.
    indexEntries: count(/^Btree\/(INSERT_(LEAF|POST)|SPLIT)/),
    walBytes: rows.reduce(
      (sum, { kind, size }) => sum + (/^(Heap|Btree|Transaction)\//.test(kind) ? size : 0),
      0,
    ),
  };
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}
