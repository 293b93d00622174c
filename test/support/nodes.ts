import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { DEMO_PRODUCTS } from "../../migrations/seeds/demo.ts";
import { type DemoFile, writeDemoFile } from "../../scripts/demo/demo-file.ts";
import { prepareDemo } from "../../scripts/demo/prepare.ts";
import { freePort } from "../../scripts/parts/ports.ts";
import { startPostgres } from "../../scripts/parts/postgres.ts";
import { errorCode, nodeProgram } from "../../scripts/parts/process.ts";
import { askApi } from "./ask-api.ts";
import type { FlowSystem } from "./flows.ts";
import { until } from "./until.ts";

/**
 * Nodes that each run all services, on one PostgreSQL that outlives them: any of them can go on with what another has
 * begun. The next one always stands by, loaded but not started. Their fault points share one gate (docs/fault-injection.md).
 */
export interface Nodes extends FlowSystem {
  readonly dataDir: string;
  /** How many are started. */
  count(): number;
  /** Starts as many as are missing. */
  fill(count: number): Promise<void>;
  /** Arms the fault at whichever node passes it first, and opens the gate; without one, points are only noted. */
  arm(fault?: string): void;
  /** Closes the gate; false when a node has taken it away, and died. */
  disarm(): boolean;
  /** Resolves when any of the started nodes has ended. */
  death(): Promise<void>;
  /** The points that were passed since the last call. */
  passed(): readonly string[];
  /** What the nodes have logged about this. */
  logged(word: string): readonly string[];
  stop(): Promise<void>;
}

interface Node {
  readonly process: ChildProcess;
  readonly api: string;
  readonly warm: Promise<void>;
  readonly ended: Promise<void>;
}

/** A busy machine takes a minute. */
const startMsMax = 180_000;

export async function startNodes(env: NodeJS.ProcessEnv): Promise<Nodes> {
  const dataDir = mkdtempSync(join(tmpdir(), "holdfast-nodes-"));
  // As root, PostgreSQL runs as another user, who has to enter the folder.
  chmodSync(dataDir, 0o755);
  const [gate, points, logFile] = ["gate", "points", "log"].map((name) => join(dataDir, name)) as [
    string,
    string,
    string,
  ];
  const logTo = openSync(logFile, "a");
  const settings = { fsync: "off", shared_buffers: "64MB" };
  const postgres = await startPostgres({ dataDir: join(dataDir, "postgres"), port: "auto", settings });
  const prepared = await prepareDemo({ server: postgres, dataDir, env: {}, progress: () => undefined });
  const agent = new Agent({ keepAlive: true });
  const pools = new Map<string, pg.Pool>();
  const started: Node[] = [];
  let standby: Node | undefined;
  let launched = 0;

  const launch = async (): Promise<Node> => {
    launched += 1;
    const name = `node-${launched}`;
    const [port, internalPort] = [await freePort(), await freePort()];
    const child = spawn(nodeProgram(), [join(__dirname, "warm-node.ts")], {
      env: {
        ...prepared.env,
        ...env,
        NODE_ID: name,
        PORT: String(port),
        INTERNAL_PORT: String(internalPort),
        // Compiled once for all of them: half of what a start costs.
        NODE_COMPILE_CACHE: join(dataDir, "compiled"),
        LOG_LEVEL: "info",
        LOG_FORMAT: "json",
        FAULT_POINTS_GATE: gate,
        FAULT_POINTS_LOG: points,
      },
      stdio: ["ignore", logTo, logTo, "ipc"],
    });
    const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
    const warm = told(child, "warm");
    // The last stand-by is stopped with the others, and nobody has waited for it.
    warm.catch(() => undefined);
    const node = { process: child, api: `http://127.0.0.1:${port}/api`, warm, ended };
    child.once("exit", (code, signal) =>
      appendFileSync(
        logFile,
        `${JSON.stringify({ ended: name, pid: child.pid, code, signal, at: new Date() })}\n`,
      ),
    );
    void ended.then(() => started.splice(started.indexOf(node) >>> 0, 1));
    return node;
  };
  const startOne = async () => {
    const node = standby ?? (await launch());
    standby = undefined;
    await node.warm;
    const ready = told(node.process, "started");
    node.process.send("start");
    await ready;
    started.push(node);
    standby = await launch();
  };
  const demo: DemoFile = {
    api: "",
    internal: "",
    pids: {},
    processes: {},
    tokens: prepared.tokens,
    products: DEMO_PRODUCTS,
    databases: prepared.databases,
  };
  writeDemoFile(dataDir, demo);
  return {
    dataDir,
    demo,
    count: () => started.length,
    async fill(count) {
      while (started.length < count) await startOne();
    },
    arm(fault = "") {
      // In one step: nobody must find the gate open and nothing in it.
      writeFileSync(`${gate}.new`, fault);
      renameSync(`${gate}.new`, gate);
    },
    disarm() {
      // In one step too: either we remove it, or whoever dies of it has.
      try {
        unlinkSync(gate);
        return true;
      } catch (error) {
        if (errorCode(error) === "ENOENT") return false;
        throw error;
      }
    },
    death: () => Promise.race(started.map(({ ended }) => ended)),
    passed() {
      const names = readFileSync(points, "utf8").trim().split("\n");
      rmSync(points);
      return names;
    },
    logged: (word) =>
      readFileSync(logFile, "utf8")
        .split("\n")
        .filter((line) => line.includes(word)),
    async api(path, request) {
      const [first] = started;
      if (first === undefined) throw new Error("no node is there");
      try {
        return await askApi({ address: first.api, tokens: demo.tokens, agent }, path, request);
      } catch (cause) {
        // Whoever did not answer is asked last from now on.
        if (started[0] === first) started.push(...started.splice(0, 1));
        throw cause;
      }
    },
    async sql(database, text, values = []) {
      const pool =
        pools.get(database) ?? new pg.Pool({ connectionString: postgres.urlOf(`oms_${database}`), max: 2 });
      if (!pools.has(database)) {
        pools.set(database, pool);
        // A server that is stopped says so to idle connections too.
        pool.on("error", () => undefined);
      }
      return (await pool.query(text, [...values])).rows;
    },
    async stop() {
      for (const node of [...started, ...(standby ? [standby] : [])]) {
        node.process.kill("SIGKILL");
        await node.ended;
      }
      agent.destroy();
      await Promise.all([...pools.values()].map((pool) => pool.end()));
      await postgres.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Waits for that word of a process. */
async function told(child: ChildProcess, word: string): Promise<void> {
  let heard = false;
  child.on("message", (message) => {
    heard ||= message === word;
  });
  await until(
    `a node says ${word}`,
    () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`it ended with ${child.exitCode ?? child.signalCode}`);
      return heard;
    },
    { timeoutMs: startMsMax },
  );
}
