import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { type DemoFile, readDemoFile } from "../../scripts/demo/demo-file.ts";
import { nodeProgram } from "../../scripts/parts/process.ts";
import { until } from "./until.ts";

const root = join(__dirname, "..", "..");

export interface DemoOptions {
  /** start.ts, or stack.ts with its arguments. */
  readonly command: readonly string[];
  readonly dataDir: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** npm start or npm run stack as a process of its own, on any free ports unless the test says which. */
export interface DemoProcess {
  readonly process: ChildProcess;
  /** All it printed so far, both streams. */
  output(): string;
  /** Waits until it says that it is ready. */
  ready(): Promise<DemoFile>;
  /** Sends the signal, and waits for the end; answers the exit code, or the signal that ended it. */
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** Waits for an end that comes by itself. */
  ended(): Promise<number | NodeJS.Signals>;
}

const readyMsMax = 120_000;
const running = new Set<ChildProcess>();

export function startDemo({ command, dataDir, env }: DemoOptions): DemoProcess {
  const [script = "", ...args] = command;
  const child = spawn(nodeProgram(), [join(root, "scripts", script), ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...anyPorts, SERVICES: "", DATA_DIR: dataDir, ...env },
  });
  running.add(child);
  let output = "";
  const keep = (chunk: Buffer) => {
    output += chunk.toString("utf8");
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const end = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("close", (code, signal) => {
      running.delete(child);
      resolve(code ?? signal ?? 0);
    });
  });
  const ready = () =>
    until(
      `${script} is ready`,
      () => {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${output}`);
        return output.includes("Holdfast is ready") ? readDemoFile(dataDir) : undefined;
      },
      { timeoutMs: readyMsMax },
    );
  return {
    process: child,
    output: () => output,
    ready,
    ended: () => end,
    end: (signal) => {
      child.kill(signal);
      return end;
    },
  };
}

const anyPorts = {
  PORT: "auto",
  INTERNAL_PORT: "auto",
  PG_PORT: "auto",
  NATS_PORT: "auto",
  KAFKA_PORT: "auto",
};

/** Runs one of the scripts to its end. */
export async function runScript(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; output: string }> {
  const [script = "", ...args] = command;
  const child = spawn(nodeProgram(), [join(root, "scripts", script), ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const code = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
  return { code: await code, output: Buffer.concat([...stdout, ...stderr]).toString("utf8") };
}

/** For afterAll: a failed test must not leave a cluster behind. */
export async function endDemos(): Promise<void> {
  const children = [...running];
  for (const child of children) child.kill("SIGTERM");
  await until("all demos have ended", () => running.size === 0, { timeoutMs: 60_000 });
}
