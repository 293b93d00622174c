import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The unprivileged user a server runs as when we are root. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export { sleep };

/** Polls until the condition holds; false when it did not within the time. */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  intervalMs = 20,
): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (await condition()) return true;
    if (Date.now() >= deadline) return false;
    await sleep(intervalMs);
  }
}

/** Whether a process with this id lives. One that ended and was not collected yet (a zombie) does not. */
export function exists(pid: number): boolean {
  return isTaken(pid) && !(process.platform === "linux" && isZombie(pid));
}

/** Whether the id is in use, be it by a zombie: what kill(pid, 0) tells any program. */
export function isTaken(pid: number): boolean {
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/** In a container whose first process collects nobody's children, zombies stay for ever. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name before the state is in parentheses and may hold any character.
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}

/**
 * Whether the process with this id is the one we mean: its command line holds the marker. An id alone proves
 * nothing: after a reboot, or in a container that starts anew, an old id belongs to another program.
 */
export function runs(pid: number, marker: string): boolean {
  return exists(pid) && commandLine(pid).includes(marker);
}

/** Whether that process has ended for good. One that is just ending has lost its command line, and is still there. */
export function isGone(pid: number, marker: string): boolean {
  if (!exists(pid)) return true;
  const line = commandLine(pid);
  return line !== "" && !line.includes(marker);
}

function commandLine(pid: number): string {
  if (process.platform === "linux") {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    } catch {
      return "";
    }
  }
  return spawnSync("ps", ["-ww", "-o", "args=", "-p", String(pid)], { encoding: "utf8" }).stdout ?? "";
}

/** Sends a signal; false when there is no such process any more. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (errorCode(error) === "ESRCH") return false;
    throw error;
  }
}

export function errorCode(error: unknown): string | undefined {
  // Not instanceof: in jest's realm the errors of Node's own modules are no instances of its Error.
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly account?: Account;
  readonly timeoutMs: number;
}

export interface RunResult {
  /** 0 = success; -1 when it could not be started or took too long. */
  readonly code: number;
  readonly output: string;
}

/** Runs a program to its end and keeps what it wrote (both streams, the last 100,000 characters). */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  return new Promise((resolve) => {
    let output = "";
    let timedOut = false;
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      uid: options.account?.uid,
      gid: options.account?.gid,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, options.timeoutMs);
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString("utf8")).slice(-100_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", (error) => {
      clearTimeout(timer);
      resolve({ code: -1, output: error.message });
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      if (timedOut) output += `\n(stopped after ${options.timeoutMs} ms)`;
      resolve({ code: timedOut ? -1 : (code ?? -1), output });
    });
  });
}

/** The path of a program, as a shell would find it; undefined when PATH does not have it. */
export function findOnPath(command: string, path = process.env.PATH ?? ""): string | undefined {
  for (const folder of path.split(delimiter)) {
    if (folder === "") continue;
    const file = join(folder, command);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // Not in this folder, or not ours to run: the next one may have it.
    }
  }
  return undefined;
}

/** Jest runs on a Node too old for TypeScript, too; what we start on the side does not: it takes the Node npm installed. */
export function nodeProgram(): string {
  if (process.features.typescript) return process.execPath;
  const installed = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url));
  return existsSync(installed) ? installed : process.execPath;
}

/**
 * How a process of services runs: its young generation may grow to 3 x 32 MB. With 3 x 16 MB the process of `npm start`
 * stays at 353 MB instead of 452 MB after 100,000 orders (`npm run bench -- --flat`), and needs a tenth more CPU for a
 * payment at c=64 (0.91 of PostgreSQL's instead of 0.78, in turns); 3 x 64 MB are 45 MB more and bring nothing.
 * package.json says the same for the programs that hold services themselves.
 */
export const SERVICE_FLAGS: readonly string[] = ["--max-semi-space-size=32"];

/** The last line that says something, for a message that fits on one line. */
export function lastLine(text: string, pattern = /\S/): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const telling = lines.filter((line) => pattern.test(line));
  return (telling.at(-1) ?? lines.at(-1) ?? "no output").trim();
}
