import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Prepared, prepareDemo } from "../../scripts/demo/prepare.ts";
import { freePort } from "../../scripts/parts/ports.ts";
import { type PostgresPart, startPostgres } from "../../scripts/parts/postgres.ts";
import { SERVICE_FLAGS } from "../../scripts/parts/process.ts";
import { apiTarget, customerIds, fillCatalogue, inDatabase, prepareFloor, productIds } from "../data.ts";
import { type LoadDriver, startLoad } from "../load/driver.ts";
import type { Cell, FinishedOrder, FloorTarget, Target } from "../load/protocol.ts";
import { type LoadKind, type Measured, nameOf, runCell } from "../measure/cell.ts";
import { checkFloor, checkSystem, type Violations } from "../measure/check.ts";
import { openMeterOn } from "../measure/counters.ts";
import { installPeers, versionOf } from "../peers/installed.ts";
import { startRestate } from "../peers/restate.ts";
import { peersReport } from "../report/peers-report.ts";
import type { StudyContext, StudyResult } from "./study.ts";

const READY_MS_MAX = 180_000;

export interface PeerRun {
  readonly contestant: string;
  readonly cell: Cell;
  readonly measured: Measured;
}

/** What a contestant has running while it is its turn. */
interface Turn {
  readonly load: LoadDriver;
  /** Processes beside the load process. */
  readonly servicePids: readonly number[];
  readonly serverPids: readonly number[];
  stop(): Promise<void>;
}

interface Contestant {
  readonly name: string;
  readonly kind: LoadKind;
  begin(): Promise<Turn>;
  check(finished: readonly FinishedOrder[]): Promise<Violations>;
}

interface World {
  readonly postgres: PostgresPart;
  readonly postgresPid: number;
  readonly prepared: Prepared;
  readonly floor: FloorTarget;
  readonly dataDir: string;
  readonly folder: string;
}

/**
 * CREATE_ORDER by us, by plain SQL and by other engines, in turn, on one PostgreSQL: the same business rows by the same
 * statements, the same load, one check. Only whose turn it is runs.
 */
export async function studyPeers(context: StudyContext): Promise<StudyResult> {
  const { options, progress, dataDir, describe } = context;
  const folder = await installPeers(progress);
  const postgres = await startPostgres({ dataDir: join(dataDir, "postgres"), port: "auto" });
  try {
    await describe(postgres);
    const world = await createWorld(postgres, dataDir, folder, options.logLevel);
    const runs: PeerRun[] = [];
    const complaints: string[] = [];
    for (let round = 0; round < options.runs; round += 1) {
      for (const contestant of contestantsOf(world)) {
        for (const { run, wrong } of await takeTurn(context, world, contestant)) {
          runs.push(run);
          complaints.push(...wrong);
        }
      }
    }
    return { report: peersReport(runs), complaints, data: runs };
  } finally {
    await postgres.stop();
  }
}

async function createWorld(
  postgres: PostgresPart,
  dataDir: string,
  folder: string,
  logLevel: string,
): Promise<World> {
  const [port, internalPort] = [await freePort(), await freePort()];
  const env = {
    PORT: String(port),
    INTERNAL_PORT: String(internalPort),
    LOG_LEVEL: logLevel,
    LOG_FORMAT: "json",
  };
  const prepared = await prepareDemo({ server: postgres, dataDir, env, progress: () => undefined });
  await fillCatalogue(prepared.databases);
  const pidFile = join(dataDir, "postgres", "cluster", "postmaster.pid");
  return {
    postgres,
    postgresPid: Number(readFileSync(pidFile, "utf8").split("\n")[0]),
    prepared,
    floor: await prepareFloor(postgres),
    dataDir,
    folder,
  };
}

async function takeTurn(
  { options, progress }: StudyContext,
  { postgres, postgresPid }: World,
  { name, kind, begin, check }: Contestant,
): Promise<{ run: PeerRun; wrong: string[] }[]> {
  const { load, servicePids, serverPids, stop } = await begin();
  const meter = await openMeterOn({
    urlOf: postgres.urlOf,
    servicePids,
    postgresPid,
    brokerPids: serverPids,
    metricsUrls: [],
  });
  const results: { run: PeerRun; wrong: string[] }[] = [];
  try {
    for (const cell of options.cells) {
      const { seconds, warmSeconds, patienceMs } = options;
      const request = { cell, warmSeconds, until: { seconds } };
      const { measured, finished } = await runCell(load, meter, request, kind, patienceMs);
      const violations = await check(finished);
      const errors =
        measured.errors > 0 ? [`${measured.errors} errors, such as ${measured.errorSamples[0]}`] : [];
      const wrong = [...violations, ...errors].map((one) => `${name}, ${nameOf(cell)}: ${one}`);
      results.push({ run: { contestant: name, cell, measured }, wrong });
      progress(
        `${name.padEnd(22)} ${nameOf(cell).padEnd(13)} ${Math.round(measured.ordersPerSecond)} orders/s`,
      );
    }
  } finally {
    await meter.close();
    await stop();
  }
  return results;
}

function contestantsOf(world: World): Contestant[] {
  const { floor, folder, postgres, prepared } = world;
  const business = { folder, url: floor.url, customerIds, productIds };
  const ours = (finished: readonly FinishedOrder[]) => checkSystem({ demo: prepared }, finished);
  const theirs = (finished: readonly FinishedOrder[]) => checkFloor(floor.url, finished);
  return [
    { name: "plain SQL, the floor", kind: "floor", begin: () => alone(world, floor), check: theirs },
    {
      name: "Holdfast, in process",
      kind: "engine",
      begin: () => alone(world, { kind: "services", env: prepared.env, customerIds, productIds }),
      check: ours,
    },
    { name: "Holdfast, by HTTP", kind: "engine", begin: () => byHttp(world), check: ours },
    {
      name: `DBOS ${versionOf("@dbos-inc/dbos-sdk")}`,
      kind: "engine",
      async begin() {
        const systemUrl = await freshDatabase(postgres, "bench_dbos");
        return alone(world, { kind: "dbos", systemUrl, ...business });
      },
      check: theirs,
    },
    {
      name: `Restate ${versionOf("@restatedev/restate-server")}`,
      kind: "engine",
      begin: () => byRestate(world, business),
      check: theirs,
    },
  ];
}

function loadOf({ dataDir }: World, target: Target): Promise<LoadDriver> {
  return startLoad(target, { logFile: join(dataDir, "bench.log"), nodeFlags: SERVICE_FLAGS });
}

/** Everything is in the load process. */
async function alone(world: World, target: Target): Promise<Turn> {
  const load = await loadOf(world, target);
  return { load, servicePids: [], serverPids: [], stop: load.close };
}

async function byRestate(
  world: World,
  business: { readonly folder: string; readonly url: string; readonly customerIds: readonly string[] },
): Promise<Turn> {
  const server = await startRestate({ ...business, dataDir: world.dataDir });
  const load = await loadOf(world, { kind: "restate", ingress: server.ingress, ...business, productIds });
  return {
    load,
    servicePids: [server.workerPid],
    serverPids: [server.serverPid],
    async stop() {
      await load.close();
      await server.stop();
    },
  };
}

async function byHttp(world: World): Promise<Turn> {
  const { prepared, dataDir } = world;
  const log = openSync(join(dataDir, "bench.log"), "a");
  const child = fork(fileURLToPath(new URL("../../scripts/serve.ts", import.meta.url)), {
    execArgv: [...SERVICE_FLAGS],
    stdio: ["ignore", log, log, "ipc"],
    env: Object.assign({}, prepared.env, { SERVICES: "" }),
  });
  await ready(child);
  const url = `http://127.0.0.1:${prepared.env.PORT}/api`;
  const load = await loadOf(world, await apiTarget([url], dataDir));
  return {
    load,
    servicePids: [child.pid ?? 0],
    serverPids: [],
    async stop() {
      await load.close();
      const ended = once(child, "exit", { signal: AbortSignal.timeout(READY_MS_MAX) });
      child.kill("SIGTERM");
      await ended;
    },
  };
}

async function ready(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit").then(([code]) =>
    Promise.reject(new Error(`the services ended with ${code}`)),
  );
  ended.catch(() => undefined);
  await Promise.race([once(child, "message", { signal: AbortSignal.timeout(READY_MS_MAX) }), ended]);
}

async function freshDatabase(postgres: PostgresPart, name: string): Promise<string> {
  await inDatabase(postgres.adminUrl, async (client) => {
    await client.query(`drop database if exists ${name} with (force)`);
    await client.query(`create database ${name}`);
  });
  return postgres.urlOf(name);
}
