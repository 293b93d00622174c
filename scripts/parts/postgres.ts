import { rmSync } from "node:fs";
import { join, resolve } from "node:path";
import pg from "pg";
import type { ClaimRequest } from "./claim.ts";
import { postgresSteps } from "./guard.ts";
import { type OwnedBy, type OwnPart, PartFailedError, type Progress } from "./part.ts";
import { PortTakenError, resolvePort } from "./ports.ts";
import { findBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import { ensureCluster, ensureReachable, isReady, removeStaleLock, serverEnv } from "./postgres-cluster.ts";
import { lastLine } from "./process.ts";
import { openServer, type ServerSpec, stopProcess } from "./server.ts";

export interface PostgresOptions {
  /** Holds the cluster, the log and the claim; kept between starts. */
  readonly dataDir: string;
  readonly port: number | "auto";
  /** On top of the defaults below. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Deletes the data first. */
  readonly fresh?: boolean;
  readonly ownedBy?: OwnedBy;
  readonly progress?: Progress;
}

export interface PostgresPart extends OwnPart {
  /** The server's own database, from which others are created. */
  readonly adminUrl: string;
  urlOf(database: string): string;
  /** For processes of ours on this machine: by the Unix socket, where its path is short enough for one. */
  localUrlOf(database: string): string;
}

/**
 * Fast, and as durable as PostgreSQL is. jit: compiling a plan costs more than any of our short statements.
 * autovacuum_naptime: queue tables fill with dead rows within seconds. autovacuum_analyze_threshold: so often, and with the
 * default of 50 rows, every table of a young cluster was analyzed anew each time, 50 to 230 ms each: a sixth of the server's
 * time for a payment (1.51 -> 1.27 ms). max_wal_size: at the default of 1 GB a benchmark run is a row of checkpoints, each
 * followed by full-page writes. wal_compression stays off: these builds have neither lz4 nor zstd, and pglz costs more time
 * than it saves. wal_init_zero: a young cluster makes every segment anew, and filling them with zeros first was 8 % of the
 * server's time for a payment (1.39 -> 1.26 ms).
 */
const defaults: Readonly<Record<string, string>> = {
  fsync: "on",
  synchronous_commit: "on",
  full_page_writes: "on",
  wal_init_zero: "off",
  shared_buffers: "256MB",
  max_wal_size: "4GB",
  max_connections: "200",
  autovacuum_naptime: "10s",
  autovacuum_analyze_threshold: "50000",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  log_line_prefix: "%m [%p] %q%a ",
};

interface Place {
  readonly dataDir: string;
  readonly cluster: string;
  readonly binaries: PostgresBinaries;
  readonly settings: Readonly<Record<string, string>>;
  readonly claim: ClaimRequest;
}

/** Starts the PostgreSQL that npm installed, or takes the one that an earlier run left behind on the same data. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresPart> {
  const place = await findPlace(options);
  const server = await openServer(place.claim, async (running) => {
    if (running !== undefined) return serverSpec(place, running.port);
    if (options.fresh) rmSync(place.cluster, { recursive: true, force: true });
    await ensureCluster(place.cluster, place.binaries, options.progress);
    return serverSpec(place, await resolvePort("PG_PORT", options.port));
  });
  const urlOf = (database: string) => `${server.url}/${encodeURIComponent(database)}`;
  // Kept as it is, with its live `pid`: a copy would show the process id of the first start for ever.
  const query = hasSocket(place.cluster) ? `?host=${encodeURIComponent(place.cluster)}` : "";
  const localUrlOf = (database: string) => `${urlOf(database)}${query}`;
  return Object.assign(server, { adminUrl: urlOf("postgres"), urlOf, localUrlOf });
}

async function findPlace(options: PostgresOptions): Promise<Place> {
  const dataDir = resolve(options.dataDir);
  const cluster = join(dataDir, "cluster");
  const binaries = await findBinaries(options.progress);
  ensureReachable(dataDir, binaries);
  const settings = { ...defaults, ...options.settings };
  const marker = `-D ${cluster} `;
  const claim: ClaimRequest = {
    part: "postgres",
    file: join(dataDir, "claim.json"),
    marker,
    port: options.port === "auto" ? 0 : options.port,
    settings: JSON.stringify(settings),
    ownedBy: options.ownedBy ?? "process",
    fresh: options.fresh,
    stop: (pid) => stopProcess(pid, marker, postgresSteps),
  };
  return { dataDir, cluster, binaries, settings, claim };
}

/** The least limit of any system for the path of a socket, in bytes (macOS: 104 with the 0 at its end). */
const SOCKET_PATH_MAX = 103;

/** By the socket an order costs 7 % less CPU than by TCP (c=64, both in one run). A deep checkout goes without. */
function hasSocket(cluster: string): boolean {
  return (
    process.platform !== "win32" && Buffer.byteLength(join(cluster, ".s.PGSQL.65535")) <= SOCKET_PATH_MAX
  );
}

function serverSpec({ dataDir, cluster, binaries, settings, claim }: Place, port: number): ServerSpec {
  const unix_socket_directories = hasSocket(cluster) ? cluster : "";
  const all = { port: String(port), listen_addresses: "127.0.0.1", unix_socket_directories, ...settings };
  const logFile = join(dataDir, "postgres.log");
  return {
    name: "postgres",
    url: `postgres://postgres@127.0.0.1:${port}`,
    port,
    claim,
    logFile,
    steps: postgresSteps,
    startMsMax: 60_000,
    launch: () => {
      removeStaleLock(cluster, claim.marker);
      const args = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
      const { account, postgres } = binaries;
      return { command: postgres, args: ["-D", cluster, ...args], env: serverEnv(), account };
    },
    isReady: (pid) => isReady(cluster, pid),
    // After kill -9 of the postmaster its sessions take a moment to notice; until then the memory is in use.
    retry: (log) => log.includes("pre-existing shared memory block"),
    failure: (log) => {
      if (/could not bind|could not create any TCP\/IP sockets/.test(log))
        return new PortTakenError("PG_PORT", port);
      return new PartFailedError(
        "postgres",
        `did not start: ${lastLine(log, /FATAL|PANIC|ERROR/)} (log: ${logFile})`,
      );
    },
  };
}

const duplicateDatabase = "42P04";
const uniqueViolation = "23505";

/**
 * Creates the databases that are missing. Idempotent, and several processes may do it at once. One connection for
 * each: five new databases take 190 ms side by side and 360 ms one after the other.
 */
export async function createDatabases(adminUrl: string, names: readonly string[]): Promise<void> {
  const present = await withClient(adminUrl, async (client) => {
    const { rows } = await client.query<{ datname: string }>("select datname from pg_database");
    return new Set(rows.map((row) => row.datname));
  });
  const missing = [...new Set(names)].filter((name) => !present.has(name));
  await Promise.all(missing.map((name) => withClient(adminUrl, (client) => createDatabase(client, name))));
}

async function createDatabase(client: pg.Client, name: string): Promise<void> {
  try {
    await client.query(`create database ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? error.code : undefined;
    if (code !== duplicateDatabase && code !== uniqueViolation) throw error;
  }
}

async function withClient<Result>(url: string, use: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  // A server that is stopped while we are connected says so here too; the query's own error is what counts.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
