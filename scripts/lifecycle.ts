import { spawnSync } from "node:child_process";
import { reportFailure } from "./exit.ts";
import { exists, runs } from "./parts/process.ts";

export interface Lifecycle {
  /** Remembers how to take back what was just done; undone in reverse order at the end. */
  defer(undo: () => Promise<void> | void): void;
  /** The same, for files only: done at the very end, also when the end is forced. */
  atExit(remove: () => void): void;
  /** Where an unexpected error is told; replaced by a logger once there is one. */
  onCrash(report: (error: unknown) => void): void;
}

export interface LifecycleOptions {
  readonly program: string;
  readonly start: (lifecycle: Lifecycle) => Promise<void>;
  readonly stopTimeoutMs: number;
}

/**
 * npm passes on the Ctrl+C that the terminal has already sent to everybody: one keystroke arrives twice, and
 * only what comes later than this is a second one.
 */
const sameKeystrokeMs = 500;

/**
 * Runs a program from its start to its end. The first SIGINT, SIGTERM or SIGHUP undoes everything and exits
 * with 0, a second one exits at once. A failed start undoes what it had done. After an unexpected error the
 * state of the process cannot be trusted: it is told and the process ends, as in a crash.
 */
export async function runLifecycle(options: LifecycleOptions): Promise<void> {
  const undos: (() => Promise<void> | void)[] = [];
  let crashed = (error: unknown) => console.error(`${options.program}:`, error);
  let ending: Promise<never> | undefined;
  let endedAt = 0;
  const end = (code: number) => {
    endedAt = performance.now();
    ending ??= undoAll(options, undos).then((clean) => process.exit(clean ? code : 1));
    return ending;
  };
  const stop = () => {
    if (ending === undefined) void end(0);
    else if (performance.now() - endedAt > sameKeystrokeMs) process.exit(1);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  stopWithNpm(stop);
  for (const kind of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(kind, (error) => {
      crashed(error);
      process.exit(1);
    });
  }
  try {
    await options.start({
      defer: (undo) => undos.push(undo),
      atExit: (remove) => process.once("exit", remove),
      onCrash: (report) => {
        crashed = report;
      },
    });
  } catch (error) {
    // A start that is being undone fails for that reason alone.
    if (ending === undefined) await end(reportFailure(options.program, error));
  }
}

/** False when something could not be undone, or not in time. */
async function undoAll(options: LifecycleOptions, undos: (() => Promise<void> | void)[]): Promise<boolean> {
  let clean = true;
  const timer = setTimeout(() => {
    console.error(`${options.program}: not stopped after ${options.stopTimeoutMs} ms; ended by force`);
    process.exit(1);
  }, options.stopTimeoutMs);
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      clean = false;
      reportFailure(options.program, error);
    }
  }
  clearTimeout(timer);
  return clean;
}

/**
 * npm puts a shell between itself and us. Told to end, it ends the shell and not us; killed by force, it ends
 * neither. Without looking after them we would run on, with nobody left who knows of us.
 */
function stopWithNpm(stop: () => void): void {
  if (process.env.npm_lifecycle_event === undefined) return;
  const { ppid } = process;
  const npm = [ppid, parentOf(ppid)].find((pid) => runs(pid, "npm"));
  const timer = setInterval(() => {
    if (process.ppid === ppid && (npm === undefined || exists(npm))) return;
    clearInterval(timer);
    stop();
  }, 250);
  timer.unref();
}

function parentOf(pid: number): number {
  return Number(spawnSync("ps", ["-o", "ppid=", "-p", String(pid)], { encoding: "utf8" }).stdout ?? 0);
}
