import { AsyncLocalStorage } from "node:async_hooks";
import { appendFileSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/**
 * Named places at which a test may end, delay or fail this process. Off unless FAULT_POINTS or FAULT_POINTS_LOG is
 * set; then whoever passes a place pays for one boolean: `if (faults.armed) await passPoint("…")`.
 */
export type FaultAction =
  | { readonly kind: "kill" }
  | { readonly kind: "pause"; readonly ms: number }
  | { readonly kind: "throw" };

export interface Fault {
  readonly point: string;
  readonly action: FaultAction;
  /** Which passage of the point it strikes, from 1; each strikes once. */
  readonly passage: number;
}

export class FaultInjectedError extends Error {
  /** Read by factsOf, as on Moleculer's own errors. */
  readonly code = 503;
  readonly type = "FAULT_INJECTED";
  readonly retryable = true;
  constructor(point: string) {
    super(`fault injected at ${point}`);
    this.name = "FaultInjectedError";
  }
}

/** Read on hot paths: false means that no point does anything. */
export const faults = { armed: false };

const FAULT = /^([\w.-]+)=(?:(kill|throw)|pause:(\d{1,6}))(?:@([1-9]\d{0,8}))?$/;
const ONE = /[\w.-]+=(?:kill|throw|pause:[0-9]{1,6})(?:@[1-9][0-9]{0,8})?/.source;
/** What parseFaults reads, or nothing: for schemas. */
export const FAULTS_PATTERN = new RegExp(`^(?:${ONE}(?:, ?${ONE})*)?$`);

/** Reads `point=kill@2,point=pause:500,point=throw`; undefined when any part of it cannot be read. */
export function parseFaults(text: string): readonly Fault[] | undefined {
  const parsed: Fault[] = [];
  for (const part of text.split(",")) {
    const [, point, kind, ms, passage] = FAULT.exec(part.trim()) ?? [];
    if (point === undefined) return undefined;
    const action: FaultAction =
      kind === "kill" || kind === "throw" ? { kind } : { kind: "pause", ms: Number(ms) };
    parsed.push({ point, action, passage: Number(passage ?? 1) });
  }
  return parsed;
}

export interface FaultFiles {
  /** Gets the name of each point that is passed, from its second passage on with `@n`. */
  readonly log?: string;
  /**
   * Nothing counts, strikes or is noted while this file is missing; each time it appears, counting begins anew. Faults
   * that are written in it are armed in place of the setting's, and whoever dies of one takes it away first: so a
   * fault can be aimed at one process of many while they run, and spares the one that follows it.
   */
  readonly gate?: string;
}

let armed: readonly Fault[] = [];
let files: FaultFiles = {};
let openGate = "";
const passages = new Map<string, number>();

/** Arms these faults in place of the earlier ones. */
export function armFaults(wanted: readonly Fault[], given: FaultFiles = {}): void {
  armed = wanted;
  files = given;
  passages.clear();
  faults.armed = wanted.length > 0 || given.log !== undefined || given.gate !== undefined;
}

/** The same while the process runs: log and gate stay as they were given at its start. */
export function armFaultsNow(wanted: readonly Fault[]): void {
  armFaults(wanted, files);
}

const work = new AsyncLocalStorage<string>();

/**
 * Names what `run` writes: the points of its transactions begin with this name. Batches, loops and calls are named, the
 * innermost one counts. Costs nothing while nothing is armed.
 */
export function asWork<Result>(name: string, run: () => Result): Result {
  return faults.armed ? work.run(name, run) : run();
}

/** Passes the point of a commit, by the work it belongs to, or else by its database. @throws FaultInjectedError */
export function passCommit(database: string, statement: string, side: "before" | "after"): Promise<void> {
  return passPoint(`${work.getStore() ?? database}.${statement}.${side}-commit`);
}

/** The same for what only reads: it has no commit that anything could be lost at. @throws FaultInjectedError */
export function passRead(database: string, statement: string): Promise<void> {
  return passPoint(`${work.getStore() ?? database}.${statement}.before-read`);
}

/** Passes a point: notes it, and suffers what is armed there. @throws FaultInjectedError */
export async function passPoint(name: string): Promise<void> {
  if (!faults.armed) return;
  const aimed = files.gate === undefined ? "" : readGate(files.gate);
  if (aimed === undefined) return;
  // Names of loops and databases have spaces; in a setting they would be in the way.
  const point = name.replaceAll(" ", "-");
  const passage = (passages.get(point) ?? 0) + 1;
  passages.set(point, passage);
  // Synchronous: a point that kills must have been noted before.
  if (files.log !== undefined)
    appendFileSync(files.log, passage === 1 ? `${point}\n` : `${point}@${passage}\n`);
  const wanted = aimed === "" ? armed : (parseFaults(aimed) ?? []);
  const fault = wanted.find((one) => one.point === point && one.passage === passage);
  if (fault === undefined) return;
  if (fault.action.kind === "kill") {
    if (aimed !== "" && files.gate !== undefined && !took(files.gate)) return;
    process.kill(process.pid, "SIGKILL");
  }
  if (fault.action.kind === "throw") throw new FaultInjectedError(point);
  if (fault.action.kind === "pause") await wait(fault.action.ms);
}

/** Of several processes at that point at once one takes the gate away and dies; the others are spared. */
function took(gate: string): boolean {
  try {
    unlinkSync(gate);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

const isMissing = (error: unknown) => Reflect.get(Object(error), "code") === "ENOENT";

/** What is written in the gate; undefined while it is missing. Another file than before counts from the beginning. */
function readGate(file: string): string | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const identity = `${found.ino} ${found.mtimeNs}`;
  if (identity !== openGate) passages.clear();
  openGate = identity;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    // Whoever was killed by what it said has taken it away between the two.
    if (isMissing(error)) return undefined;
    throw error;
  }
}
