import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import pg from "pg";
import { type Config, loadConfig } from "../../../lib/config.ts";
import type { DatabaseName } from "../../../lib/settings.ts";
import { prepareDemo } from "../../../scripts/demo/prepare.ts";
import type { Tokens } from "../../../scripts/demo/tokens.ts";
import { startKafka } from "../../../scripts/parts/kafka.ts";
import { startNats } from "../../../scripts/parts/nats.ts";
import type { OwnPart } from "../../../scripts/parts/part.ts";
import { freePort } from "../../../scripts/parts/ports.ts";
import { type PostgresPart, startPostgres } from "../../../scripts/parts/postgres.ts";
import { http } from "../../support/http.ts";
import { kafkaAddresses, startTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";
import { until } from "../../support/until.ts";
import { mountSmallDisk, type SmallDisk } from "./disk.ts";
import { type Member, startMember } from "./member.ts";
import { MEMBER_NAMES } from "./schedule.ts";

/** Two processes of each service, and the servers they need; every connection goes through a line of its own. */
export interface Cluster {
  readonly members: ReadonlyMap<string, Member>;
  readonly lines: ReadonlyMap<string, TcpProxy>;
  readonly postgres: PostgresPart;
  readonly nats: OwnPart;
  readonly kafka: OwnPart;
  /** PostgreSQL's, where this machine lets us mount one. */
  readonly disk: SmallDisk | undefined;
  readonly tokens: Tokens;
  /** Base addresses of the gateways in rotation, by way of their lines. */
  readonly apis: readonly string[];
  /** Past all lines, for who looks from outside. */
  readonly config: Config;
  readonly logDir: string;
  sql<Row extends object>(database: DatabaseName, text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Ends a process by SIGTERM and waits for its next one, as a deployment does: clients are kept off a gateway meanwhile. */
  replace(member: string): Promise<void>;
  /** Writes beside the logs what each process says of itself. */
  describe(): Promise<void>;
  /** Resolves once every process says so and the gateways reach all services. */
  ready(timeoutMs: number): Promise<void>;
  /** Ends everything; keeps the logs where `keep` is set. Answers what did not end as it should. */
  stop(keep: boolean): Promise<readonly string[]>;
}

export interface ClusterOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly progress: (line: string) => void;
}

/** Enough for 12 processes with their pools, and soon exhausted by somebody who takes them all. */
const CONNECTIONS_MAX = "200";

export async function startCluster({ env = {}, progress }: ClusterOptions): Promise<Cluster> {
  const dataDir = mkdtempSync(join(tmpdir(), "holdfast-chaos-"));
  const logDir = join(dataDir, "logs");
  mkdirSync(logDir);
  const undo: Undo[] = [];
  const undoAll = async (keep: boolean) => {
    for (const step of undo.splice(0).reverse()) await step(keep);
  };
  try {
    return await start({ dataDir, logDir, env, progress, undo, undoAll });
  } catch (error) {
    await undoAll(true);
    throw error;
  }
}

type Undo = (keep: boolean) => Promise<unknown> | unknown;

interface Start extends ClusterOptions {
  readonly dataDir: string;
  readonly logDir: string;
  readonly undo: Undo[];
  readonly undoAll: (keep: boolean) => Promise<void>;
}

async function start({ dataDir, logDir, env, progress, undo, undoAll }: Start): Promise<Cluster> {
  const stackDir = resolve(".stack");
  const disk = mountSmallDisk(join(dataDir, "postgres"));
  if (disk !== undefined) undo.push(disk.unmount);
  const settings = { max_connections: CONNECTIONS_MAX, max_wal_size: "512MB" };
  const postgres = await startPostgres({
    dataDir: join(dataDir, "postgres"),
    port: "auto",
    settings,
    progress,
  });
  undo.push(() => postgres.stop());
  const nats = await startNats({ stackDir, dataDir: join(dataDir, "nats"), port: "auto", progress });
  undo.push(() => nats.stop());
  const kafka = await startKafka({ stackDir, dataDir: join(dataDir, "kafka"), port: "auto", progress });
  undo.push(() => kafka.stop());
  const server = { adminUrl: postgres.adminUrl, urlOf: postgres.urlOf };
  const given = { DATA_DIR: dataDir, TRANSPORTER: nats.url, KAFKA_BROKERS: kafka.url, ...env };
  const prepared = await prepareDemo({ server, dataDir, env: given, progress });
  const pools = new Map<DatabaseName, pg.Pool>();
  undo.push(() => Promise.all([...pools.values()].map((pool) => pool.end())));
  const lines = new Map<string, TcpProxy>();
  undo.push(() => Promise.all([...lines.values()].map((line) => line.close())));
  const members = new Map<string, Member>();
  const unclean: string[] = [];
  undo.push(async () => {
    const ending = [...members.values()].map(async (member) => {
      const code = await member.stop();
      if (code !== "0") unclean.push(`${member.name} ended with ${code}, not 0`);
    });
    await Promise.all(ending);
  });
  const targets = { postgres: portOf(postgres.url), nats: portOf(nats.url), kafka: portOf(kafka.url) };
  const apis = new Map<string, string>();
  const internals = new Map<string, string>();
  for (const name of MEMBER_NAMES) {
    const [postgresLine, natsLine, kafkaLine] = await openLines(name, targets, lines);
    const [port, internalPort] = [await freePort(), await freePort()];
    const service = name.replace(/-\d+$/, "");
    internals.set(name, `http://127.0.0.1:${internalPort}`);
    const own = {
      DATABASE_URL: `postgres://postgres@127.0.0.1:${postgresLine}/oms`,
      TRANSPORTER: `nats://127.0.0.1:${natsLine}`,
      KAFKA_BROKERS: `127.0.0.1:${kafkaLine}`,
      PORT: String(port),
      INTERNAL_PORT: String(internalPort),
      NODE_ID: name,
      SERVICES: service,
      LOG_LEVEL: "warn",
      LOG_FORMAT: "json",
    };
    if (service === "gateway") {
      const line = await startTcpProxy({ target: { host: "127.0.0.1", port } });
      lines.set(`clients>${name}`, line);
      apis.set(name, `http://127.0.0.1:${line.port}/api`);
    }
    const logFile = join(logDir, `${name}.log`);
    members.set(name, startMember({ name, env: { ...prepared.env, ...own, ...env }, logFile }));
  }
  const sql: Cluster["sql"] = async (database, text, values = []) => {
    const pool = pools.get(database) ?? newPool(prepared.databases[database]);
    pools.set(database, pool);
    return (await pool.query(text, [...values])).rows;
  };
  const urls = Object.entries(prepared.databases).map(([name, url]) => [
    `${name.toUpperCase()}_DATABASE_URL`,
    url,
  ]);
  return {
    members,
    lines,
    postgres,
    nats,
    kafka,
    disk,
    tokens: prepared.tokens,
    get apis() {
      return [...apis.values()];
    },
    config: loadConfig({ ...prepared.env, ...Object.fromEntries(urls) }),
    logDir,
    sql,
    async ready(timeoutMs) {
      await Promise.all([...members.values()].map((member) => member.ready(timeoutMs)));
      const reach = [...apis.values()].map((api) => reaches(api, prepared.tokens.staff, timeoutMs));
      await Promise.all(reach);
    },
    async replace(name) {
      const api = apis.get(name);
      apis.delete(name);
      try {
        await members.get(name)?.replace();
      } finally {
        if (api !== undefined) apis.set(name, api);
      }
    },
    async describe() {
      for (const [name, internal] of internals) await describeMember(internal, join(logDir, `${name}.state`));
    },
    async stop(keep) {
      await undoAll(keep);
      if (!keep) rmSync(dataDir, { recursive: true, force: true });
      return unclean;
    },
  };
}

async function openLines(
  member: string,
  targets: Readonly<Record<"postgres" | "nats" | "kafka", number>>,
  lines: Map<string, TcpProxy>,
): Promise<number[]> {
  const ports: number[] = [];
  for (const [server, target] of Object.entries(targets)) {
    const port = await freePort();
    const rewrite = server === "kafka" ? kafkaAddresses(target, port) : undefined;
    const line = await startTcpProxy({ target: { host: "127.0.0.1", port: target }, port, rewrite });
    lines.set(`${member}>${server}`, line);
    ports.push(port);
  }
  return ports;
}

function newPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, max: 2, connectionTimeoutMillis: 5_000 });
  // A server that is stopped says so to idle connections too.
  pool.on("error", () => undefined);
  return pool;
}

const portOf = (url: string) => Number(/:(\d+)$/.exec(url)?.[1]);
const NOBODYS = "01990000-0000-7000-8000-00000000ffff";

async function reaches(api: string, token: string, timeoutMs: number): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const paths = ["/orders?limit=1", "/products?limit=1", `/transactions/${NOBODYS}`, `/payments/${NOBODYS}`];
  const all = async () => {
    const statuses = await Promise.all(
      paths.map(async (path) => (await http(api + path, { headers })).status),
    );
    return statuses.every((status) => status < 500);
  };
  await until(`${api} reaches all services`, all, { timeoutMs });
}

async function describeMember(internal: string, file: string): Promise<void> {
  for (const path of ["/ready", "/metrics"]) {
    const answer = await http(internal + path, { timeoutMs: 5_000 }).catch((error: Error) => error);
    const said = answer instanceof Error ? answer.message : `${answer.status}\n${answer.text}`;
    appendFileSync(file, `${new Date().toISOString()} ${path} ${said}\n`);
  }
}
