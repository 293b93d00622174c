import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { nodeProgram } from "./process.ts";

/** One signal on the way from "please stop" to "gone", and how long it is given. */
export interface StopStep {
  readonly signal: NodeJS.Signals;
  readonly waitMs: number;
}

export interface Guarded {
  readonly pid: number;
  /** A piece of the command line by which the process is recognised before it is signalled. */
  readonly marker: string;
  readonly steps: readonly StopStep[];
}

export type WatchdogOrder =
  | ({ readonly order: "watch" } & Guarded)
  | { readonly order: "forget"; readonly pid: number };

/** PostgreSQL's "fast" shutdown is SIGINT: it ends sessions; SIGTERM would wait for every client to leave by itself. */
export const postgresSteps: readonly StopStep[] = [
  { signal: "SIGINT", waitMs: 30_000 },
  { signal: "SIGQUIT", waitMs: 5_000 },
  { signal: "SIGKILL", waitMs: 5_000 },
];
export const termSteps: readonly StopStep[] = [
  { signal: "SIGTERM", waitMs: 10_000 },
  { signal: "SIGKILL", waitMs: 5_000 },
];

/** What a watchdog's command line ends in, wherever the checkout lies. */
export const watchdogMarker = "parts/watchdog.ts";

/** One watchdog for all parts of this process; it leaves with the last of them. */
let watchdog: ChildProcess | undefined;
const guarded = new Map<number, Guarded>();

/** The watchdog's process id, started when there is none yet. */
export function watchdogPid(): number {
  return ensureWatchdog().pid ?? 0;
}

export function guard(process: Guarded): void {
  const child = ensureWatchdog();
  guarded.set(process.pid, process);
  tell(child, { order: "watch", ...process });
}

export function unguard(pid: number): void {
  if (!guarded.delete(pid) || watchdog === undefined) return;
  tell(watchdog, { order: "forget", pid });
  if (guarded.size > 0) return;
  watchdog.stdin?.end();
  watchdog = undefined;
}

function tell(child: ChildProcess, order: WatchdogOrder): void {
  child.stdin?.write(`${JSON.stringify(order)}\n`);
}

function ensureWatchdog(): ChildProcess {
  if (watchdog !== undefined) return watchdog;
  const script = fileURLToPath(new URL("./watchdog.ts", import.meta.url));
  // Own session, so that Ctrl+C in the terminal does not reach it; "/" as its folder, so that no folder of ours is
  // held; no standard output, so that nobody who reads ours waits for it.
  const child = spawn(nodeProgram(), [script], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
    env: { PATH: process.env.PATH },
  });
  child.once("error", () => lost(child));
  child.once("exit", () => lost(child));
  // Writing to a watchdog that was killed must not end our process.
  child.stdin.on("error", () => lost(child));
  child.unref();
  if ("unref" in child.stdin && typeof child.stdin.unref === "function") child.stdin.unref();
  watchdog = child;
  // Should the last one have been killed, this one takes over what it watched.
  for (const part of guarded.values()) tell(child, { order: "watch", ...part });
  return child;
}

function lost(child: ChildProcess): void {
  if (watchdog !== child) return;
  watchdog = undefined;
  if (guarded.size === 0) return;
  process.emitWarning(
    "the watchdog of the started parts ended: after a kill -9 of this process they would go on",
  );
}
