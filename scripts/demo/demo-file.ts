import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Config, loadConfig } from "../../lib/config.ts";
import type { DatabaseName, ServiceName } from "../../lib/settings.ts";
import { errorCode } from "../parts/process.ts";
import type { Tokens } from "./tokens.ts";

export interface DemoProcessFacts {
  readonly internal: string;
  readonly services: readonly ServiceName[];
}

/** What a running demo tells scripts, tests and the curious; see "The demo file" in the README. */
export interface DemoFile {
  readonly api: string;
  readonly internal: string;
  /** Process ids by process: one for npm start, one for each service for npm run stack. */
  readonly pids: Readonly<Record<string, number>>;
  /** By process, too: where it answers /ready, /live and /metrics, and which services it runs. */
  readonly processes: Readonly<Record<string, DemoProcessFacts>>;
  readonly tokens: Tokens;
  readonly products: { readonly plenty: string; readonly scarce: string; readonly soldOut: string };
  readonly databases: Readonly<Record<DatabaseName, string>>;
  readonly kafkaBrokers?: string;
  readonly natsUrl?: string;
}

const pathOf = (dataDir: string) => join(dataDir, "demo.json");

/** Writes it whole or not at all, readable by its owner alone: it holds tokens. */
export function writeDemoFile(dataDir: string, demo: DemoFile): void {
  const draft = `${pathOf(dataDir)}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, pathOf(dataDir));
}

export function removeDemoFile(dataDir: string): void {
  rmSync(pathOf(dataDir), { force: true });
}

export function readDemoFile(dataDir: string): DemoFile | undefined {
  try {
    return JSON.parse(readFileSync(pathOf(dataDir), "utf8")) as DemoFile;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * The configuration of the system that a command line tool is to look at: the environment's, or, where that names
 * no database, the one that npm start or npm run stack is running right now. @throws ConfigError
 */
export function configOfRunning(env: NodeJS.ProcessEnv = process.env): Config {
  const given = loadConfig(env);
  const namesDatabase = Object.keys(env).some((name) => name.endsWith("DATABASE_URL") && env[name]);
  const demo = namesDatabase ? undefined : readDemoFile(given.DATA_DIR);
  if (demo === undefined) return given;
  const urls = Object.entries(demo.databases).map(([name, url]) => [
    `${name.toUpperCase()}_DATABASE_URL`,
    url,
  ]);
  return loadConfig({
    ...env,
    ...Object.fromEntries(urls),
    BUS_DATABASE_URL: demo.databases.order.replace(/_order$/, "_bus"),
    KAFKA_BROKERS: demo.kafkaBrokers,
    TRANSPORTER: demo.natsUrl,
  });
}
