import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type DemoFile, readDemoFile } from "../demo/demo-file.ts";
import { nodeProgram, waitFor } from "../parts/process.ts";

/** npm start and other scripts as processes of a drill. */

const pathOf = (script: string) => fileURLToPath(new URL(`../${script}`, import.meta.url));
const READY_MS_MAX = 180_000;

export interface Running {
  readonly demo: DemoFile;
  stop(): Promise<void>;
}

/** Without the limits that protect a shop from a single customer. */
const OPEN_HANDED = { UNPAID_ORDERS_MAX: "0", RATE_LIMIT_PER_SUBJECT: "0", RATE_LIMIT_PER_ADDRESS: "0" };
const ANY_PORTS = {
  PORT: "auto",
  INTERNAL_PORT: "auto",
  PG_PORT: "auto",
  NATS_PORT: "auto",
  KAFKA_PORT: "auto",
};

/** Starts npm start (start.ts) or npm run stack (stack.ts) on a data folder, and waits until it is ready. */
export async function startOn(script: string, dataDir: string): Promise<Running> {
  const child = spawn(nodeProgram(), [pathOf(script)], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, ...ANY_PORTS, ...OPEN_HANDED, LOG_LEVEL: "error", DATA_DIR: dataDir },
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  try {
    await waitFor(() => {
      if (child.exitCode !== null) throw new Error(`${script} ended with ${child.exitCode}`);
      return readDemoFile(dataDir) !== undefined;
    }, READY_MS_MAX);
    const demo = readDemoFile(dataDir);
    if (demo === undefined) throw new Error(`${script} is not ready`);
    return { demo, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs a script to its end. */
export async function runOnce(
  [script = "", ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(nodeProgram(), [pathOf(script), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  const code = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [stdout, stderr] = await Promise.all([child.stdout.toArray(), child.stderr.toArray()]);
  return { code: await code, output: Buffer.concat([...stdout, ...stderr]).toString("utf8") };
}
