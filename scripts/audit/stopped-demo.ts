import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import pg from "pg";
import { type Config, loadConfig } from "../../lib/config.ts";
import { configOfRunning, readDemoFile } from "../demo/demo-file.ts";
import { lockDataDir } from "../demo/lock.ts";
import { startKafka } from "../parts/kafka.ts";
import { type PostgresPart, startPostgres } from "../parts/postgres.ts";
import { exists } from "../parts/process.ts";

/**
 * Runs `use` with the configuration of the system to look at: the one that runs, or that the environment names, or
 * else what npm start or npm run stack left in the data folder. For that the servers are started, without the
 * services, and stopped again. @throws ConfigError when there is nothing to look at
 */
export async function withSystem<Result>(
  use: (config: Config) => Promise<Result>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Result> {
  const dataDir = resolve(loadConfig(env).DATA_DIR);
  const named = Object.keys(env).some((name) => name.endsWith("DATABASE_URL") && env[name]);
  if (named || isRunning(dataDir) || !existsSync(join(dataDir, "postgres", "cluster")))
    return use(configOfRunning(env));
  const lock = lockDataDir(dataDir);
  const parts: { stop(): Promise<void> }[] = [];
  try {
    const postgres = await startPostgres({ dataDir: join(dataDir, "postgres"), port: "auto" });
    parts.push(postgres);
    const given = { ...env, DATABASE_URL: postgres.urlOf("oms") };
    const folder = join(dataDir, "kafka");
    const isElsewhere = env.KAFKA_BROKERS || !existsSync(folder);
    if (isElsewhere || (await hasBus(postgres))) return await use(loadConfig(given));
    const kafka = await startKafka({ stackDir: resolve(".stack"), dataDir: folder, port: "auto" });
    parts.push(kafka);
    return await use(loadConfig({ ...given, KAFKA_BROKERS: kafka.url }));
  } finally {
    for (const part of parts.reverse()) await part.stop();
    lock.release();
  }
}

/** One that was killed has left its demo file behind. */
function isRunning(dataDir: string): boolean {
  return Object.values(readDemoFile(dataDir)?.pids ?? {}).some(exists);
}

/** Only a system whose events go through PostgreSQL has a database for them. */
async function hasBus({ adminUrl }: PostgresPart): Promise<boolean> {
  const client = new pg.Client({ connectionString: adminUrl, application_name: "holdfast-audit" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query("select from pg_database where datname = 'oms_bus'");
    return rows.length > 0;
  } finally {
    await client.end();
  }
}
