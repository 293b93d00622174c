import { createRequire } from "node:module";
import type { Middleware } from "moleculer";
import pg from "pg";
import { kafkaSecurity } from "./bus/kafka-security.ts";
import { openBus } from "./bus/open-bus.ts";
import { type Config, ConfigError, databaseSetting, databaseUrl } from "./config.ts";
import { natsOptions } from "./nats-options.ts";
import { DATABASE_NAMES } from "./settings.ts";
import { hasBroken, readTlsFiles, type TlsPart, tlsProblemOf } from "./tls.ts";

const TIMEOUT_MS = 5_000;
const LOOKS_MAX = 5;

/**
 * Before anything else of a process starts, a look whether certificates and credentials hold: a server that is away is
 * waited for, but one that we refuse, or that refuses us, would refuse for ever. It takes a connection to each server
 * that is secured; where none is, it does nothing.
 */
export function checkConnections(config: Config): Middleware {
  return {
    name: "CheckConnections",
    async starting() {
      const databases = databasesOf(config);
      await Promise.all([
        ...databases.map((url) => check("DATABASE", () => connectDatabase(url))),
        check("NATS", () => connectNats(config)),
        check("KAFKA", () => connectKafka(config)),
      ]);
    },
  };
}

/**
 * Under TLS 1.3 a server says after the handshake that it wants another certificate of us, and what we have written by then
 * can have the connection reset before we read that: one that merely broke is looked at again.
 * @throws ConfigError names the setting
 */
async function check(part: TlsPart, connect: () => Promise<void>): Promise<void> {
  for (let looks = 1; ; looks += 1) {
    try {
      await connect();
      return;
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const problem = tlsProblemOf(error, part);
      if (problem !== undefined) throw problem;
      // Whatever else is wrong may pass; readiness tells of it for as long as it does not.
      if (looks === LOOKS_MAX || !hasBroken(error)) return;
    }
  }
}

/** Those of this process that are reached over TLS, and the bus. One without a URL is its service's to report. */
function databasesOf(config: Config): string[] {
  readTlsFiles(config, "DATABASE");
  const names = DATABASE_NAMES.filter((name) => config.SERVICES.includes(name));
  const all = config.KAFKA_BROKERS === undefined && names.length > 0 ? [...names, "bus" as const] : names;
  const known = all.filter((name) => config.DATABASE_URL ?? config[databaseSetting(name)]);
  const urls = known.map((name) => databaseUrl(config, name));
  return urls.filter((url) => new URL(url).searchParams.has("sslmode"));
}

async function connectDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: TIMEOUT_MS });
  client.on("error", () => undefined);
  await client.connect();
  await client.end();
}

async function connectNats(config: Config): Promise<void> {
  if (config.TRANSPORTER === undefined) return;
  const options = natsOptions(config);
  if (!options.tls && !options.authenticator) return;
  const { connect } = createRequire(import.meta.url)("nats") as typeof import("nats");
  const connection = await connect({ ...options, timeout: TIMEOUT_MS, reconnect: false });
  await connection.close();
}

async function connectKafka(config: Config): Promise<void> {
  if (config.KAFKA_BROKERS === undefined || Object.keys(kafkaSecurity(config)).length === 0) return;
  const bus = openBus(config);
  try {
    await bus.ping();
  } finally {
    await bus.close();
  }
}
