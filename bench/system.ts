import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DemoFile, readDemoFile } from "../scripts/demo/demo-file.ts";
import { readClaim } from "../scripts/parts/claim.ts";
import { guard, type StopStep, unguard } from "../scripts/parts/guard.ts";
import { exists, lastLine, SERVICE_FLAGS, waitFor } from "../scripts/parts/process.ts";
import { NO_REPLICAS, startReplicas } from "./replicas.ts";

export interface System {
  readonly demo: DemoFile;
  /** Every gateway's address. */
  readonly apis: readonly string[];
  /** Of all processes that run services. */
  readonly servicePids: readonly number[];
  readonly dataDir: string;
  /** URL of any other database on the same server. */
  urlOf(database: string): string;
  /** Process id of PostgreSQL's postmaster. */
  readonly postgresPid: number;
  /** Of NATS and Kafka, with --stack. */
  readonly brokerPids: readonly number[];
  /** Where the services' process can be inspected, if that was wanted. */
  readonly inspectorUrl?: string;
  stop(): Promise<void>;
}

export interface SystemOptions {
  readonly program: "start" | "stack";
  /** Kept from one start to the next; see newDataDir. */
  readonly dataDir: string;
  readonly logLevel: string;
  /** Processes of each service; more than one only with --stack. */
  readonly replicas: number;
  readonly inspect?: boolean;
}

const steps: readonly StopStep[] = [
  { signal: "SIGTERM", waitMs: 70_000 },
  { signal: "SIGKILL", waitMs: 10_000 },
];
const startMsMax = 240_000;

export function newDataDir(): string {
  return mkdtempSync(join(tmpdir(), "holdfast-bench-"));
}

export function removeDataDir(dataDir: string): void {
  rmSync(dataDir, { recursive: true, force: true });
}

/** Starts Holdfast as its users do, on free ports and a folder of its own. Should we die, a watchdog ends it. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { dataDir } = options;
  const logFile = join(dataDir, "bench.log");
  const child = spawnSystem(options, logFile);
  const pid = child.pid ?? 0;
  const marker = `scripts/${options.program}.ts`;
  guard({ pid, marker, steps });
  let demo: DemoFile | undefined;
  const settled = () => {
    demo = readDemoFile(dataDir);
    return demo !== undefined || !exists(pid);
  };
  await waitFor(settled, startMsMax, 50);
  const stop = async () => {
    for (const { signal, waitMs } of steps) {
      if (!exists(pid)) break;
      child.kill(signal);
      await waitFor(() => !exists(pid), waitMs, 20);
    }
    unguard(pid);
  };
  if (demo === undefined) {
    await stop();
    throw new Error(`the system did not start: ${lastLine(readFileSync(logFile, "utf8"))} (log: ${logFile})`);
  }
  const server = demo.databases.order;
  const started = { demo, dataDir, logFile, env: environment(options) };
  const replicas =
    options.replicas > 1
      ? await startReplicas(started, options.replicas - 1).catch(async (error: unknown) => {
          await stop();
          throw error;
        })
      : NO_REPLICAS;
  return {
    demo,
    dataDir,
    apis: [demo.api, ...replicas.apis],
    servicePids: [...Object.values(demo.pids), ...replicas.pids],
    urlOf: (database) => Object.assign(new URL(server), { pathname: `/${database}` }).href,
    postgresPid: Number(
      readFileSync(join(dataDir, "postgres/cluster/postmaster.pid"), "utf8").split("\n")[0],
    ),
    brokerPids: ["nats", "kafka"].flatMap((name) => readClaim(join(dataDir, name, "claim.json"))?.pid ?? []),
    inspectorUrl: /ws:\/\/\S+/.exec(readFileSync(logFile, "utf8"))?.[0],
    async stop() {
      await replicas.stop();
      await stop();
    },
  };
}

function spawnSystem(options: SystemOptions, logFile: string): ChildProcess {
  const { program, inspect } = options;
  const log = openSync(logFile, "w");
  const script = fileURLToPath(new URL(`../scripts/${program}.ts`, import.meta.url));
  const flags = [...SERVICE_FLAGS, ...(inspect ? ["--inspect=127.0.0.1:0"] : [])];
  const child = spawn(process.execPath, [...flags, script], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    stdio: ["ignore", log, log],
    env: environment(options),
  });
  closeSync(log);
  return child;
}

function environment({ dataDir, logLevel }: SystemOptions): NodeJS.ProcessEnv {
  const ports = ["PORT", "INTERNAL_PORT", "PG_PORT", "NATS_PORT", "KAFKA_PORT"];
  return {
    ...process.env,
    ...Object.fromEntries(ports.map((name) => [name, "auto"])),
    DATA_DIR: dataDir,
    LOG_LEVEL: logLevel,
    LOG_FORMAT: "json",
    // The bench is few customers at one address.
    RATE_LIMIT_PER_SUBJECT: "20000",
    RATE_LIMIT_PER_ADDRESS: "50000",
    UNPAID_ORDERS_MAX: "0",
    // A long bench is not to run into orders that expire for want of a payment.
    RESERVATION_TTL_SECONDS: "86400",
    // Would have the system watch an npm that is ours.
    npm_lifecycle_event: undefined,
  };
}
