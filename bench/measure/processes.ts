import { readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { sleep } from "../../scripts/parts/process.ts";

/** CPU times from /proc, in milliseconds. A clock tick is 10 ms on every Linux that runs Node. */
const TICK_MS = 10;

export interface CpuTimes {
  readonly services: number;
  readonly load: number;
  readonly postgres: number;
  /** Of the whole machine. */
  readonly busy: number;
}

interface ProcessTimes {
  readonly parent: number;
  readonly own: number;
  /** Of children that have ended. */
  readonly children: number;
}

export function cpuTimes(pids: { services: readonly number[]; load: number; postgres: number }): CpuTimes {
  const ownOf = (pid: number) => timesOf(pid)?.own ?? 0;
  return {
    services: pids.services.reduce((total, pid) => total + ownOf(pid), 0),
    load: ownOf(pids.load),
    postgres: withChildren(pids.postgres),
    busy: machineBusy(),
  };
}

/** Sessions are children of the postmaster; those that have ended count in its own line. */
function withChildren(parent: number): number {
  const main = timesOf(parent);
  let total = main === undefined ? 0 : main.own + main.children;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const times = timesOf(Number(name));
    if (times?.parent === parent) total += times.own;
  }
  return total;
}

function timesOf(pid: number): ProcessTimes | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name stands in brackets and may hold spaces; after it come state, parent, …
  const fields = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const at = (index: number) => fields[index] ?? 0;
  return { parent: at(1), own: (at(11) + at(12)) * TICK_MS, children: (at(13) + at(14)) * TICK_MS };
}

/** user + nice + system + irq + softirq + steal */
function machineBusy(): number {
  const fields = (read("/proc/stat") ?? "").split("\n", 1)[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  const busy = [0, 1, 2, 5, 6, 7].reduce((total, index) => total + (fields[index] ?? 0), 0);
  return busy * TICK_MS;
}

/** Part of the machine, 0 to 1, that `ms` of CPU are within `elapsedMs`. */
export function shareOfMachine(ms: number, elapsedMs: number): number {
  return ms / (elapsedMs * cpus().length);
}

const QUIET_SHARE = 0.15;
const QUIET_FOR_MS = 2_000;

/** Waits until the machine has next to nothing to do, our own idling services included. False when it never had. */
export async function waitForQuiet(timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const [before, from] = [machineBusy(), performance.now()];
    await sleep(QUIET_FOR_MS);
    if (shareOfMachine(machineBusy() - before, performance.now() - from) < QUIET_SHARE) return true;
  }
  return false;
}

/** Resident memory in megabytes. */
export function residentMb(pids: readonly number[]): number {
  const kilobytes = pids.map((pid) =>
    Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`) ?? "")?.[1] ?? 0),
  );
  return kilobytes.reduce((total, one) => total + one, 0) / 1024;
}

/** A variable that a process was started with. */
export function variableOf(pid: number, name: string): string | undefined {
  const found = read(`/proc/${pid}/environ`)
    ?.split("\0")
    .find((line) => line.startsWith(`${name}=`));
  return found?.slice(name.length + 1);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // It has ended, or is not ours to look at.
    return undefined;
  }
}
