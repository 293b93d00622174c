import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { watchdogMarker, watchdogPid } from "./guard.ts";
import { type OwnedBy, PartFailedError, PartInUseError } from "./part.ts";
import { errorCode, exists, runs, sleep } from "./process.ts";

/**
 * A small file beside a part's data that says who runs it. It answers what the next start has to know when the last
 * one was killed: is the server that still runs to be shared, taken over, waited for or replaced?
 */
export interface Claim {
  /** The server's process; 0 while it is being started. */
  readonly pid: number;
  readonly port: number;
  readonly starter: number;
  readonly ownedBy: OwnedBy;
  readonly watchdog: number;
  /** The settings it runs with, so that a start with other ones can tell. */
  readonly settings: string;
}

export interface ClaimRequest {
  readonly part: string;
  readonly file: string;
  /** What the server's command line contains. */
  readonly marker: string;
  /** 0 = any. */
  readonly port: number;
  readonly settings: string;
  readonly ownedBy: OwnedBy;
  /** The data is about to be deleted, so a server that runs on it must end. */
  readonly fresh?: boolean;
  /** Ends a server that runs with other settings and belongs to nobody. */
  readonly stop: (pid: number) => Promise<void>;
}

export type Claimed =
  /** Nothing runs and the claim is ours: start it. */
  | { readonly kind: "start" }
  /** It runs for another living process (or for another caller in this one), who will stop it. */
  | { readonly kind: "borrow"; readonly claim: Claim }
  /** It runs and belongs to nobody: ours now. */
  | { readonly kind: "adopt"; readonly claim: Claim };

const waitMsMax = 60_000;

/** Decides what a start has to do, and takes the claim when that is anything but borrowing. */
export async function takeClaim(request: ClaimRequest): Promise<Claimed> {
  const deadline = Date.now() + waitMsMax;
  while (Date.now() < deadline) {
    const claim = readClaim(request.file);
    if (claim === undefined) {
      if (createClaim(request)) return { kind: "start" };
    } else if (claim.pid > 0 && runs(claim.pid, request.marker)) {
      const decision = await settleRunning(request, claim);
      if (decision !== undefined) return decision;
    } else if (!isStarting(claim)) {
      releaseClaim(request.file);
      continue;
    }
    await sleep(20);
  }
  throw new PartFailedError(request.part, `${request.file} is held by a start that does not end; remove it`);
}

/** Somebody is at it: a living process that has not got it up yet, or the watchdog of a dead one, cleaning up. */
function isStarting(claim: Claim): boolean {
  if (claim.pid > 0) return false;
  return exists(claim.starter) || runs(claim.watchdog, watchdogMarker);
}

/** Undefined = look again: the server is on its way out. */
async function settleRunning(request: ClaimRequest, claim: Claim): Promise<Claimed | undefined> {
  const samePort = request.port === 0 || request.port === claim.port;
  const fits = samePort && request.settings === claim.settings && request.fresh !== true;
  if (claim.ownedBy === "process" && exists(claim.starter)) {
    if (fits) return { kind: "borrow", claim };
    const wanted = request.fresh ? "so its data cannot be deleted" : "with another port or other settings";
    const reason = `already runs for process ${claim.starter} on port ${claim.port}, ${wanted}; stop that first`;
    throw new PartInUseError(request.part, claim.starter, reason);
  }
  // Its owner died and the watchdog is about to stop it: to use it now would be to lose it in a moment.
  if (claim.ownedBy === "process" && runs(claim.watchdog, watchdogMarker)) return undefined;
  if (fits) {
    recordClaim(request, claim.pid, claim.port);
    return { kind: "adopt", claim };
  }
  await request.stop(claim.pid);
  return undefined;
}

/** Notes the server that now runs under our claim. */
export function recordClaim(request: ClaimRequest, pid: number, port: number): void {
  const draft = `${request.file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(claimOf(request, pid, port)));
  renameSync(draft, request.file);
}

export function releaseClaim(file: string): void {
  rmSync(file, { force: true });
}

function claimOf(request: ClaimRequest, pid: number, port: number): Claim {
  const watchdog = request.ownedBy === "process" ? watchdogPid() : 0;
  const { ownedBy, settings } = request;
  return { pid, port, starter: process.pid, ownedBy, watchdog, settings };
}

/** A hard link fails when the name exists, and the file behind it is whole: of two starts only one gets it. */
function createClaim(request: ClaimRequest): boolean {
  mkdirSync(dirname(request.file), { recursive: true });
  const draft = `${request.file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(claimOf(request, 0, request.port)));
  try {
    linkSync(draft, request.file);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

export function readClaim(file: string): Claim | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    return isClaim(value) ? value : unreadable(file);
  } catch (error) {
    return error instanceof SyntaxError ? unreadable(file) : undefined;
  }
}

/** A claim cut short by a power cut says nothing; a whole one appears in one step. */
function unreadable(file: string): undefined {
  releaseClaim(file);
}

function isClaim(value: unknown): value is Claim {
  if (typeof value !== "object" || value === null) return false;
  const numbers = ["pid", "port", "starter", "watchdog"].every(
    (key) => typeof Reflect.get(value, key) === "number",
  );
  return (
    numbers &&
    typeof Reflect.get(value, "ownedBy") === "string" &&
    typeof Reflect.get(value, "settings") === "string"
  );
}
