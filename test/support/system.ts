import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { Agent } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type DemoFile, readDemoFile } from "../../scripts/demo/demo-file.ts";
import { exists, findOnPath } from "../../scripts/parts/process.ts";
import { type ApiRequest, askApi } from "./ask-api.ts";
import { type DemoProcess, startDemo } from "./demo-process.ts";
import type { HttpAnswer } from "./http.ts";
import { until } from "./until.ts";

/** "embedded": one process and PostgreSQL. "cluster": a process per service, PostgreSQL, NATS. "stack": Kafka too. */
export type Mode = "embedded" | "cluster" | "stack";
const COMMANDS: Readonly<Record<Mode, readonly string[]>> = {
  embedded: ["start.ts"],
  cluster: ["stack.ts", "--embedded-bus"],
  stack: ["stack.ts"],
};

export type { ApiRequest } from "./ask-api.ts";
export type SystemDatabase = "order" | "product" | "payment" | "customer" | "saga" | "bus";

export interface SystemOptions {
  readonly mode: Mode;
  readonly env?: NodeJS.ProcessEnv;
}

export type Sql = <Row extends object>(
  database: SystemDatabase,
  text: string,
  values?: readonly unknown[],
) => Promise<Row[]>;

export const stackDir = join(__dirname, "..", "..", ".stack");
/** How much of its output is shown when it has ended before its time. */
const lastCharacters = 4_000;
const goneMsMax = 20_000;

/** The real system, started as a user starts it: only its API, its databases and its processes are touched. */
export class System {
  readonly mode: Mode;
  readonly dataDir: string;
  /** Settings on top of the usual ones. */
  readonly env: NodeJS.ProcessEnv;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #pools = new Map<string, pg.Pool>();
  readonly #outputs: (() => string)[] = [];
  #process: DemoProcess;
  #demo: DemoFile | undefined;

  constructor({ mode, env = {} }: SystemOptions) {
    this.mode = mode;
    this.env = env;
    this.dataDir = mkdtempSync(join(tmpdir(), `holdfast-${mode}-`));
    this.#process = this.#launch();
  }

  #launch(env: NodeJS.ProcessEnv = {}): DemoProcess {
    const launched = startDemo({
      command: COMMANDS[this.mode],
      dataDir: this.dataDir,
      env: { ...this.env, ...env },
    });
    this.#outputs.push(launched.output);
    return launched;
  }

  async ready(): Promise<this> {
    const launched = this.#process;
    const endedEarly = launched.ended().then((code) => {
      throw new Error(`the system ended with ${code} before it was ready: ${launched.output()}`);
    });
    // Its later end is no news.
    endedEarly.catch(() => undefined);
    this.#demo = await Promise.race([launched.ready(), endedEarly]);
    return this;
  }

  /** Addresses, tokens and process ids as the demo file has them. @throws Error while nothing runs */
  get demo(): DemoFile {
    try {
      this.#demo = readDemoFile(this.dataDir) ?? this.#demo;
    } catch (error) {
      // In jest's realm the file system's errors are no instances of Error, and so not told from any others.
      if (this.#demo === undefined) throw error;
    }
    if (this.#demo === undefined) throw new Error("the system does not run");
    return this.#demo;
  }

  /** All that its processes have printed, over all starts. */
  output(): string {
    return this.#outputs.map((output) => output()).join("");
  }

  async api(path: string, request: ApiRequest = {}): Promise<HttpAnswer> {
    const { api, tokens } = this.demo;
    const address = request.at ?? api;
    return askApi({ address, tokens, agent: this.#agent }, path, request).catch((cause: unknown) => {
      const { exitCode, signalCode } = this.#process.process;
      const ending = exitCode ?? signalCode;
      if (ending === null) throw cause;
      throw new Error(`the system has ended with ${ending}: ${this.#lastWords()}`, { cause });
    });
  }

  #lastWords(): string {
    return this.#process.output().slice(-lastCharacters);
  }

  readonly sql: Sql = async (database, text, values = []) => {
    const url = this.demo.databases.order.replace(/_order$/, `_${database}`);
    const pool = this.#pools.get(url) ?? new pg.Pool({ connectionString: url, max: 2 });
    if (!this.#pools.has(url)) {
      this.#pools.set(url, pool);
      // A server that is stopped says so to idle connections too.
      pool.on("error", () => undefined);
    }
    return (await pool.query(text, [...values])).rows;
  };

  /** Sends the signal to one of its processes and waits until that is gone. */
  async kill(name: string, signal: NodeJS.Signals): Promise<void> {
    const pid = this.mode === "embedded" ? this.#process.process.pid : this.demo.pids[name];
    if (pid === undefined || pid === 0) throw new Error(`there is no process ${name}`);
    process.kill(pid, signal);
    await until(`${name} is gone`, () => !exists(pid), { timeoutMs: goneMsMax });
    if (this.mode === "embedded") await this.died();
  }

  /** Waits for the end of its one process, whoever brought it about; answers its exit code or signal. */
  async died(): Promise<number | NodeJS.Signals> {
    const code = await this.#process.ended();
    // What a killed process says of itself no longer holds: its ports may be another program's by now.
    rmSync(join(this.dataDir, "demo.json"), { force: true });
    this.#demo = undefined;
    return code;
  }

  /** The next process under that name, once the demo file tells of it. */
  async replaced(name: string, pid: number): Promise<number> {
    return until(
      `${name} runs again`,
      () => {
        const now = this.demo.pids[name] ?? 0;
        return now !== pid && exists(now) ? now : undefined;
      },
      { timeoutMs: 30_000 },
    );
  }

  /**
   * After its one process was killed: begins a new start on the same data, without waiting until it is ready. These
   * settings, on top of the system's own, hold for that process.
   */
  relaunch(env?: NodeJS.ProcessEnv): void {
    this.#process = this.#launch(env);
  }

  async restart(): Promise<void> {
    this.relaunch();
    await this.ready();
  }

  /** Stops everything; answers the exit code. Idempotent. */
  async stop(): Promise<number | NodeJS.Signals> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
    this.#pools.clear();
    this.#agent.destroy();
    const { exitCode, signalCode } = this.#process.process;
    const code = exitCode ?? signalCode ?? (await this.#process.end("SIGTERM"));
    rmSync(this.dataDir, { recursive: true, force: true });
    return code;
  }
}

/** Starts it and waits until it is ready; what a failed start leaves behind is stopped. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const system = new System(options);
  try {
    return await system.ready();
  } catch (error) {
    await system.stop();
    throw error;
  }
}

/** What this machine lacks for the real stack; undefined when it has all of it. */
function missingForStack(): string | undefined {
  const { JAVA_HOME: home } = process.env;
  const java = (home ? findOnPath("java", join(home, "bin")) : undefined) ?? findOnPath("java");
  if (java === undefined) return "Java 17 (java not found on PATH)";
  const hasKafka = existsSync(join(stackDir, "kafka", "libs"));
  if (!hasKafka && findOnPath("mvn") === undefined) return "Maven (mvn not found on PATH)";
  const programs = ["nats-server", "pip", "pip3", "go"];
  const hasNats = existsSync(join(stackDir, "nats")) || programs.some((name) => findOnPath(name));
  return hasNats ? undefined : "nats-server, pip or Go";
}

/** A group of tests on the real stack: skipped aloud where the machine lacks it, failed there in CI. */
export function describeOnStack(name: string, tests: () => void): void {
  const missing = missingForStack();
  if (missing === undefined) {
    describe(name, tests);
    return;
  }
  if (process.env.CI) throw new Error(`${name}: needs ${missing}`);
  console.warn(`SKIPPED: ${name}: needs ${missing}`);
  describe.skip(name, tests);
}
