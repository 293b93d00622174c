import { resolve } from "node:path";
import type { Config } from "../../lib/config.ts";
import type { ServiceName } from "../../lib/settings.ts";
import { DEMO_PRODUCTS } from "../../migrations/seeds/demo.ts";
import { configOrExit } from "../exit.ts";
import { type Lifecycle, runLifecycle } from "../lifecycle.ts";
import type { Progress } from "../parts/part.ts";
import { PortTakenError, resolvePort } from "../parts/ports.ts";
import { waitFor } from "../parts/process.ts";
import { banner } from "./banner.ts";
import { type DemoFile, removeDemoFile, writeDemoFile } from "./demo-file.ts";
import { discardData } from "./discard.ts";
import { AlreadyRunningError, type DataDirLock, lockDataDir } from "./lock.ts";
import { type Prepared, prepareDemo, type Server } from "./prepare.ts";
import { waitUntilReached, waitUntilReady } from "./ready.ts";
import { removeHeaderFiles, writeHeaderFiles } from "./tokens.ts";

export interface Parts {
  readonly server: Server;
  readonly natsUrl?: string;
  readonly kafkaBrokers?: string;
  stop(): Promise<void>;
}

export interface ProcessPlan {
  /** Where it answers /ready. */
  readonly internalPort: string;
  readonly services: readonly ServiceName[];
}

export interface Services {
  /** Process ids by process, as they are now. */
  pids(): Readonly<Record<string, number>>;
  readonly processes: Readonly<Record<string, ProcessPlan>>;
  stop(): Promise<void>;
}

export interface DemoContext {
  readonly config: Config;
  /** Absolute. */
  readonly dataDir: string;
  readonly progress: Progress;
  readonly lifecycle: Lifecycle;
}

/** What npm start and npm run stack do differently: which servers they bring up, and how they run the services. */
export interface DemoPlan {
  readonly program: string;
  readonly startParts: (context: DemoContext) => Promise<Parts>;
  /** `pidsChanged` is to be called when a process was replaced. */
  readonly startServices: (
    context: DemoContext,
    prepared: Prepared,
    pidsChanged: () => void,
  ) => Promise<Services>;
}

const partsStopMs = 40_000;

/** Starts everything, tells where it is, runs until a signal comes, and stops it in reverse order. */
export async function runDemo(plan: DemoPlan): Promise<void> {
  const config = configOrExit(plan.program);
  const start = (lifecycle: Lifecycle) => startDemo(plan, config, lifecycle);
  await runLifecycle({
    program: plan.program,
    start,
    stopTimeoutMs: config.SHUTDOWN_TIMEOUT_MS + partsStopMs,
  });
}

async function startDemo(plan: DemoPlan, config: Config, lifecycle: Lifecycle): Promise<void> {
  const startedAt = performance.now();
  const dataDir = resolve(config.DATA_DIR);
  const progress: Progress = (line) => console.log(`${plan.program}: ${line}`);
  const context: DemoContext = { config, dataDir, progress, lifecycle };
  const lock = await takeDataDir(dataDir, lifecycle);
  const ports = await resolvePorts(config, lock.recovered);
  if (isFresh()) await discardData(dataDir, progress);

  const parts = await plan.startParts(context);
  lifecycle.defer(async () => {
    await parts.stop();
    progress("stopped");
  });
  const { server, natsUrl, kafkaBrokers } = parts;
  const brokers = { TRANSPORTER: natsUrl, KAFKA_BROKERS: kafkaBrokers };
  const prepared = await prepareDemo({ server, dataDir, env: { ...ports, ...brokers }, progress });
  const host = config.HOST === "0.0.0.0" ? "127.0.0.1" : config.HOST;
  const demo = (): DemoFile => ({
    api: `http://${host}:${ports.PORT}/api`,
    internal: `http://${host}:${ports.INTERNAL_PORT}`,
    pids: services.pids(),
    processes: factsOf(host, services.processes),
    tokens: prepared.tokens,
    products: DEMO_PRODUCTS,
    databases: prepared.databases,
    kafkaBrokers,
    natsUrl,
  });
  let announced = false;
  const services = await plan.startServices(context, prepared, () => {
    if (announced) writeDemoFile(dataDir, demo());
  });
  lifecycle.defer(async () => {
    progress("stopping: finishing what is in hand");
    announced = false;
    lock.markStopping();
    removeDemoFile(dataDir);
    await services.stop();
  });
  await waitUntilReady(
    host,
    Object.values(services.processes).map(({ internalPort }) => internalPort),
  );
  await waitUntilReached(demo().api, prepared.tokens);
  writeHeaderFiles(dataDir, prepared.tokens);
  writeDemoFile(dataDir, demo());
  announced = true;
  console.log(banner(demo(), config, dataDir, (performance.now() - startedAt) / 1000));
}

function factsOf(host: string, processes: Services["processes"]): DemoFile["processes"] {
  const facts = Object.entries(processes).map(([name, { internalPort, services }]) => [
    name,
    { internal: `http://${host}:${internalPort}`, services },
  ]);
  return Object.fromEntries(facts);
}

/** npm keeps flags that stand before `--` to itself and passes them on as variables. */
function isFresh(): boolean {
  return process.argv.includes("--fresh") || process.env.npm_config_fresh === "true";
}

/** One demo per data folder; what an earlier one that was killed says of itself is gone from here on. */
async function takeDataDir(dataDir: string, lifecycle: Lifecycle): Promise<DataDirLock> {
  const lock = await waitForLock(dataDir);
  const removeFiles = () => {
    removeDemoFile(dataDir);
    removeHeaderFiles(dataDir);
  };
  removeFiles();
  lifecycle.atExit(() => {
    removeFiles();
    lock.release();
  });
  return lock;
}

const stoppingMsMax = 60_000;
/** npm ends before the process whose end it has asked for: the next start may be here before that has noticed. */
const noticingMsMax = 1_500;

async function waitForLock(dataDir: string): Promise<DataDirLock> {
  const startedAt = performance.now();
  let result: DataDirLock | AlreadyRunningError | undefined;
  const attempt = () => {
    try {
      result = lockDataDir(dataDir);
    } catch (error) {
      if (!(error instanceof AlreadyRunningError)) throw error;
      result = error;
      return !error.stopping && performance.now() - startedAt > noticingMsMax;
    }
    return true;
  };
  await waitFor(attempt, stoppingMsMax, 50);
  if (result === undefined || result instanceof AlreadyRunningError) throw result;
  return result;
}

interface Ports {
  readonly PORT: string;
  readonly INTERNAL_PORT: string;
}

async function resolvePorts(config: Config, recovered: boolean): Promise<Ports> {
  const find = async (setting: "PORT" | "INTERNAL_PORT") =>
    String(await patiently(setting, config[setting], recovered));
  return { PORT: await find("PORT"), INTERNAL_PORT: await find("INTERNAL_PORT") };
}

const predecessorMsMax = 5_000;

/** After a start that was ended by force its services may hold the port for a moment longer. */
async function patiently(setting: string, value: number | "auto", recovered: boolean): Promise<number> {
  let port: number | undefined;
  let taken: unknown;
  const attempt = async () => {
    try {
      port = await resolvePort(setting, value);
    } catch (error) {
      if (!(error instanceof PortTakenError)) throw error;
      taken = error;
    }
    return port !== undefined;
  };
  await waitFor(attempt, recovered ? predecessorMsMax : 0, 50);
  if (port === undefined) throw taken;
  return port;
}
