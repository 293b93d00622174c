import pg from "pg";
import { type RunnableMigration, MigrationError as StepError, Umzug, type UmzugStorage } from "umzug";
import { type Config, databaseUrl } from "../lib/config.ts";
import { DATABASE_NAMES, type DatabaseName } from "../lib/settings.ts";
import { tlsProblemOf } from "../lib/tls.ts";
import { DatabaseNewerError, MigrationChangedError, MigrationError } from "./errors.ts";
import { type MigrationFile, readMigrations } from "./files.ts";

export interface MigrateOptions {
  readonly url: string;
  /** Folders below migrations/ (or absolute paths), in the order in which they are applied. */
  readonly folders: readonly string[];
  readonly direction?: "up" | "down";
  /** How many migrations `down` takes back; default the last one. `up` always goes to the newest. */
  readonly steps?: number | "all";
}

export type MigratedName = DatabaseName | "bus";

export interface MigrationStatus {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
}

type Context = { readonly client: pg.Client };

/** Any number that nothing else in these databases locks; an advisory lock is per database. */
const lockKey = 4_105_319_257;

/**
 * Brings a database up to date, or back. The advisory lock makes replicas that start together wait for the
 * first one and then find nothing to do. Answers the names of what was applied or taken back.
 * @throws MigrationError names the migration; DatabaseNewerError; MigrationChangedError
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const files = await readMigrations(options.folders);
  return withClient(options.url, async (client) => {
    await client.query("set lock_timeout = '5min'");
    await client.query("select pg_advisory_lock($1)", [lockKey]);
    // A migration that waits for a busy table stops everybody behind it: better to fail and be run again.
    await client.query("set lock_timeout = '10s'");
    await client.query(`create table if not exists schema_migrations (
      name text primary key, checksum text not null, applied_at timestamptz not null default now())`);
    await assertFits(client, files);
    return run(client, files, options);
  });
}

async function run(
  client: pg.Client,
  files: readonly MigrationFile[],
  options: MigrateOptions,
): Promise<string[]> {
  const migrations = files.map(runnable);
  const umzug = new Umzug<Context>({ migrations, storage, context: { client }, logger: undefined });
  const { steps = 1 } = options;
  try {
    const back = () => umzug.down(steps === "all" ? { to: 0 } : { step: steps });
    const done = await (options.direction === "down" ? back() : umzug.up());
    return done.map((one) => one.name);
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    throw new MigrationError(error.migration.name, error.cause);
  }
}

function runnable(file: MigrationFile): RunnableMigration<Context> {
  return {
    name: file.name,
    up: ({ context: { client } }) =>
      inTransaction(client, async () => {
        await client.query(file.up);
        await client.query("insert into schema_migrations (name, checksum) values ($1, $2)", [
          file.name,
          file.checksum,
        ]);
      }),
    down: ({ context: { client } }) =>
      inTransaction(client, async () => {
        if (file.down === undefined) throw new Error("it has no .down.sql");
        await client.query(file.down);
        await client.query("delete from schema_migrations where name = $1", [file.name]);
      }),
  };
}

/** Umzug notes a migration after it ran; ours is noted in its own transaction, so here only the reading is left. */
const storage: UmzugStorage<Context> = {
  logMigration: async () => undefined,
  unlogMigration: async () => undefined,
  executed: async ({ context }) => [...(await applied(context.client)).keys()],
};

/** Name and checksum of what the database has. */
async function applied(client: pg.Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; checksum: string }>(
    "select name, checksum from schema_migrations order by applied_at, name",
  );
  return new Map(rows.map((row) => [row.name, row.checksum]));
}

async function assertFits(client: pg.Client, files: readonly MigrationFile[]): Promise<void> {
  const known = new Map(files.map((file) => [file.name, file.checksum]));
  const present = [...(await applied(client))];
  const database = client.database ?? "";
  const unknown = present.filter(([name]) => !known.has(name)).map(([name]) => name);
  if (unknown.length > 0) throw new DatabaseNewerError(database, unknown);
  const changed = present.filter(([name, checksum]) => known.get(name) !== checksum).map(([name]) => name);
  if (changed.length > 0) throw new MigrationChangedError(database, changed);
}

async function inTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query("begin");
  try {
    await work();
    await client.query("commit");
  } catch (error) {
    // The connection may be gone, and then PostgreSQL rolls back by itself: the first error is the one to report.
    await client.query("rollback").catch(() => undefined);
    throw error;
  }
}

async function withClient<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "holdfast-migrate",
    connectionTimeoutMillis: 10_000,
  });
  // The query in hand reports a lost connection; without a listener Node would end the process as well.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw tlsProblemOf(error, "DATABASE") ?? error;
  }
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** What a database has and lacks; changes nothing. @throws DatabaseNewerError, MigrationChangedError */
export async function migrationStatus(
  options: Pick<MigrateOptions, "url" | "folders">,
): Promise<MigrationStatus> {
  const files = await readMigrations(options.folders);
  return withClient(options.url, async (client) => {
    const { rows } = await client.query("select to_regclass('schema_migrations') as found");
    if (rows[0]?.found === null) return { applied: [], pending: files.map((file) => file.name) };
    await assertFits(client, files);
    const present = await applied(client);
    const pending = files.filter((file) => !present.has(file.name)).map((file) => file.name);
    return { applied: [...present.keys()], pending };
  });
}

/** The databases that this configuration uses: one per service, and the bus where there is no Kafka. */
export function migratedNames(config: Config): readonly MigratedName[] {
  return config.KAFKA_BROKERS === undefined ? [...DATABASE_NAMES, "bus"] : DATABASE_NAMES;
}

export function foldersOf(name: MigratedName): readonly string[] {
  return name === "bus" ? ["bus"] : ["common", name];
}

/** Migrates the databases of these services, at once: each has its own lock. Answers what was done, by name. */
export async function migrateAll(
  config: Config,
  names: readonly MigratedName[] = migratedNames(config),
  options: Pick<MigrateOptions, "direction" | "steps"> = {},
): Promise<ReadonlyMap<MigratedName, readonly string[]>> {
  const one = async (name: MigratedName) => {
    const done = await migrate({ url: databaseUrl(config, name), folders: foldersOf(name), ...options });
    return [name, done] as const;
  };
  // All are let finish before the first failure is reported: none is cut off half-way by an exit.
  const settled = await Promise.allSettled(names.map(one));
  return new Map(
    settled.map((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    }),
  );
}
