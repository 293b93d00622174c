import { databaseUrl, loadConfig } from "../../lib/config.ts";
import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import { migrateAll, migratedNames } from "../../migrations/run.ts";
import { seedDemo } from "../../migrations/seeds/demo.ts";
import type { Progress } from "../parts/part.ts";
import { createDatabases } from "../parts/postgres.ts";
import { ensureTopics } from "../topics.ts";
import { prepareKeyRing } from "./key-ring.ts";
import { issueTokens, prepareClusterSecret, prepareKeys, type Tokens } from "./tokens.ts";

export interface Server {
  readonly adminUrl: string;
  urlOf(database: string): string;
  /** A shorter way for processes on this machine, where there is one. */
  localUrlOf?(database: string): string;
}

export interface Prepared {
  /** The environment that every service of this demo gets. */
  readonly env: NodeJS.ProcessEnv;
  readonly databases: Readonly<Record<DatabaseName, string>>;
  readonly tokens: Tokens;
}

export interface PrepareOptions {
  readonly server: Server;
  readonly dataDir: string;
  /** Settings on top of the ones below: ports, brokers. */
  readonly env: NodeJS.ProcessEnv;
  readonly progress: Progress;
}

/** Databases, tables, demo data, topics, keys and tokens: whatever the services need to find when they start. */
export async function prepareDemo(options: PrepareOptions): Promise<Prepared> {
  const { server, dataDir, progress } = options;
  const keys = await prepareKeys(dataDir);
  const keyRing = await prepareKeyRing(dataDir);
  const env = given({
    ...withoutDatabases(process.env),
    LOG_FORMAT: process.env.LOG_FORMAT || (process.stdout.isTTY ? "pretty" : "json"),
    ...options.env,
    DATABASE_URL: (server.localUrlOf ?? server.urlOf)("oms"),
    JWT_KEYS: keys.jwksFile,
    PERSONAL_DATA_KEYS: keyRing.file,
    CLUSTER_SECRETS: undefined,
    CLUSTER_SECRETS_FILE: prepareClusterSecret(dataDir),
    // The addresses that a demo tells are http.
    TLS_CERT: undefined,
    TLS_KEY: undefined,
    DEMO: "true",
    ...demoLimits(process.env),
  });
  const config = loadConfig(env);
  const names = migratedNames(config);
  await createDatabases(
    server.adminUrl,
    names.map((name) => `oms_${name}`),
  );
  const done = await migrateAll(config);
  const count = [...done.values()].flat().length;
  if (count > 0) progress(`applied ${count} migrations to ${names.length} databases`);
  await ensureTopics(config);
  // For whoever looks from outside: by TCP, which every client understands.
  const databases = Object.fromEntries(DATABASE_NAMES.map((name) => [name, server.urlOf(`oms_${name}`)]));
  const seeded = { customer: databaseUrl(config, "customer"), product: databaseUrl(config, "product") };
  await seedDemo(seeded, keyRing.personalData);
  return { env, databases: databases as Prepared["databases"], tokens: await issueTokens(keys, config) };
}

/** Here one customer with one address is all the load there is. */
function demoLimits(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    RATE_LIMIT_PER_SUBJECT: env.RATE_LIMIT_PER_SUBJECT || "20000",
    RATE_LIMIT_PER_ADDRESS: env.RATE_LIMIT_PER_ADDRESS || "50000",
    UNPAID_ORDERS_MAX: env.UNPAID_ORDERS_MAX || "0",
  };
}

/** A variable that points elsewhere, left over in somebody's shell, must not split a demo over two servers. */
function withoutDatabases(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.endsWith("DATABASE_URL")));
}

/** Without the variables that are undefined: to a process started with them they would read "undefined". */
function given(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined));
}
