import { spawnSync } from "node:child_process";
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errorCode } from "../parts/process.ts";

/** Another start uses this data folder. */
export class AlreadyRunningError extends Error {
  readonly pid: number;
  /** It is on its way out: worth waiting for. */
  readonly stopping: boolean;
  constructor(dataDir: string, pid: number, stopping: boolean) {
    super(
      `already runs on ${dataDir} as process ${pid}; stop that first, or give this one a folder and ports ` +
        "of its own (DATA_DIR, PORT, INTERNAL_PORT, PG_PORT)",
    );
    this.name = "AlreadyRunningError";
    this.pid = pid;
    this.stopping = stopping;
  }
}

export interface DataDirLock {
  /** True when the start before this one was ended by force: what it ran may still be on its way out. */
  readonly recovered: boolean;
  /** Tells the next start that waiting is worth its while. */
  markStopping(): void;
  release(): void;
}

/**
 * Takes the data folder for this process. A lock whose process is gone counts for nothing, also when its process
 * id has been given to another program since.
 * @throws AlreadyRunningError
 */
export function lockDataDir(dataDir: string): DataDirLock {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, "start.lock");
  const draft = `${file}.${process.pid}`;
  const mine = `${process.pid} ${birthOf(process.pid)}`;
  writeFileSync(draft, mine);
  let recovered = false;
  try {
    while (!tryLink(draft, file)) {
      removeStale(dataDir, file);
      recovered = true;
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return {
    recovered,
    markStopping: () => {
      writeFileSync(draft, `${mine} stopping`);
      renameSync(draft, file);
    },
    release: () => rmSync(file, { force: true }),
  };
}

/** A hard link appears whole and only once: of two starts at the same moment one gets it. */
function tryLink(draft: string, file: string): boolean {
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

function removeStale(dataDir: string, file: string): void {
  const held = read(file);
  if (held === undefined) return;
  const [, pid = "0", birth, stopping] = /^(\d+) (.*?)( stopping)?$/.exec(held) ?? [];
  if (birth && birthOf(Number(pid)) === birth)
    throw new AlreadyRunningError(dataDir, Number(pid), stopping !== undefined);
  // Moved aside rather than deleted: when another start was quicker, what we hold is its new lock, and it goes back.
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw error;
  }
  if (read(aside) !== held) tryLink(aside, file);
  rmSync(aside, { force: true });
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * When the process was started, in whatever form the system tells it; empty when there is no such process, or
 * when it is dead and only waits to be collected by its parent.
 */
function birthOf(pid: number): string {
  if (process.platform !== "linux") {
    const { stdout } = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" });
    return /^(?!Z)\S+\s+(.*)$/m.exec(stdout ?? "")?.[1]?.trim() ?? "";
  }
  // The second field of stat is the program's name in brackets, which may hold spaces; the state follows it.
  const stat = read(`/proc/${pid}/stat`) ?? "";
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? "" : (fields[19] ?? "");
}
