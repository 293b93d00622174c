import pg from "pg";
import { GONE, type Gone, TELL_GONE } from "./horizon.ts";

/** One database as it was at one moment: whatever is read through it fits together. */
export interface Snapshot {
  readonly name: string;
  readonly tables: ReadonlySet<string>;
  /** When it was taken, by the database's clock. */
  readonly takenAt: Date;
  /** What retention has deleted, by table. */
  readonly gone: ReadonlyMap<string, Gone>;
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** The rows in batches: a history of a million orders need not fit into memory. */
  stream<Row extends object>(text: string, values?: readonly unknown[]): AsyncGenerator<Row[]>;
  close(): Promise<void>;
}

/** A database that cannot be read; the whole audit could not check. */
export class DatabaseUnreadableError extends Error {
  constructor(name: string, cause: unknown) {
    const reason = cause instanceof AggregateError ? cause.errors[0] : cause;
    super(`the database of ${name} cannot be read: ${reason instanceof Error ? reason.message : reason}`, {
      cause,
    });
    this.name = "DatabaseUnreadableError";
  }
}

const BATCH_SIZE = 5_000;
const STATEMENT_MS_MAX = 300_000;

/** Connects without reading anything yet. @throws DatabaseUnreadableError */
export async function connectReadOnly(name: string, url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "holdfast-audit",
    connectionTimeoutMillis: 10_000,
    statement_timeout: STATEMENT_MS_MAX,
    // Whole tables are read, from thousands of rows on; a compiled plan costs more than it saves.
    options: "-c default_transaction_read_only=on -c jit=off -c work_mem=64MB",
  });
  // The query in hand reports a lost connection; without a listener Node would end the process as well.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw new DatabaseUnreadableError(name, error);
  }
  return client;
}

/** Takes the snapshot now: what commits from here on is not in it. @throws DatabaseUnreadableError */
export async function takeSnapshot(name: string, client: pg.Client): Promise<Snapshot> {
  let last: Promise<unknown> = Promise.resolve();
  // Several checks read through one connection: one after the other.
  const run = <Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    const running = last.then(async () => {
      try {
        return (await client.query<Row>(text, [...values])).rows;
      } catch (error) {
        throw new DatabaseUnreadableError(name, error);
      }
    });
    last = running.catch(() => undefined);
    return running;
  };
  await run("begin isolation level repeatable read read only");
  const found = await run<{ name: string; now: Date }>(
    `select now(), c.relname as name from (select 1) one
     left join pg_class c on c.relkind in ('r', 'p') and pg_table_is_visible(c.oid)`,
  );
  const tables = new Set(found.map((row) => row.name));
  let gone: ReadonlyMap<string, Gone> = new Map();
  if (tables.has("retention")) {
    await run(TELL_GONE);
    gone = new Map((await run<Gone & { table: string }>(GONE)).map((row) => [row.table, row]));
  }
  let cursors = 0;
  return {
    name,
    tables,
    takenAt: found[0]?.now ?? new Date(),
    gone,
    query: run,
    async *stream<Row extends object>(text: string, values: readonly unknown[] = []) {
      cursors += 1;
      const cursor = `audit_${cursors}`;
      await run(`declare ${cursor} no scroll cursor for ${text}`, values);
      for (;;) {
        const rows = await run<Row>(`fetch ${BATCH_SIZE} from ${cursor}`);
        if (rows.length === 0) break;
        yield rows;
      }
      await run(`close ${cursor}`);
    },
    close: () => client.end(),
  };
}
