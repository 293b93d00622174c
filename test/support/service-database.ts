import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type Database, type DatabaseOptions, openDatabase } from "../../lib/database.ts";
import { foldersOf, type MigratedName, migrate } from "../../migrations/run.ts";
import { createDatabases, type PostgresPart, startPostgres } from "../../scripts/parts/postgres.ts";

export interface FreshDatabase {
  readonly url: string;
  /** Opens a pool on it; closed with the server. */
  open(options?: Partial<DatabaseOptions>): Database;
}

export interface TestServer {
  /** The server itself, to be restarted or killed. */
  part(): PostgresPart;
  /** A new database with all migrations of the service. */
  fresh(name: MigratedName): Promise<FreshDatabase>;
}

/**
 * One PostgreSQL for a test file: started before its tests, stopped after them with every pool that was opened
 * here. Should the process die, the part's watchdog stops it.
 */
export function useServer(): TestServer {
  const root = mkdtempSync(join(tmpdir(), "holdfast-database-"));
  const opened: Database[] = [];
  const templates = new Map<MigratedName, Promise<string>>();
  let part: PostgresPart | undefined;
  let count = 0;

  beforeAll(async () => {
    // As root, PostgreSQL runs as another user, who has to enter the folder.
    chmodSync(root, 0o755);
    // No power is cut here: what tests ask of the server does not depend on the disk.
    const settings = { fsync: "off", shared_buffers: "64MB" };
    part = await startPostgres({ dataDir: join(root, "postgres"), port: "auto", settings });
  });

  afterAll(async () => {
    const closed = Promise.allSettled(opened.map((database) => database.close()));
    // A test that failed may have left a transaction open: its pool would never close.
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 2_000).unref())]);
    await part?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const server = () => {
    if (!part) throw new Error("the server is there within tests and hooks only");
    return part;
  };
  /** Migrated once per service and file; each fresh database is a copy. */
  const template = async (name: MigratedName) => {
    const database = `template_${name}`;
    await createDatabases(server().adminUrl, [database]);
    await migrate({ url: server().urlOf(database), folders: foldersOf(name) });
    return database;
  };
  return {
    part: server,
    async fresh(name) {
      const made = templates.get(name) ?? template(name);
      templates.set(name, made);
      count += 1;
      const database = `${name}_${count}`;
      await run(server().adminUrl, `create database ${database} template ${await made}`);
      const url = server().urlOf(database);
      return {
        url,
        open(options = {}) {
          const pool = openDatabase({ url, name: `test ${name}`, ...options });
          opened.push(pool);
          return pool;
        },
      };
    },
  };
}

/** Runs one statement on a connection of its own. */
export async function run<Row extends pg.QueryResultRow>(
  url: string,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  // A server that is stopped while we are connected says so here too; the query's own error is what counts.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}
