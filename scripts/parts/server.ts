import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readSync, renameSync, statSync } from "node:fs";
import {
  type Claim,
  type Claimed,
  type ClaimRequest,
  recordClaim,
  releaseClaim,
  takeClaim,
} from "./claim.ts";
import { guard, type StopStep, unguard } from "./guard.ts";
import { type OwnPart, PartFailedError, PartInUseError } from "./part.ts";
import { PortTakenError } from "./ports.ts";
import { type Account, exists, isGone, runs, sendSignal, sleep, waitFor } from "./process.ts";

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly account?: Account;
}

export interface ServerSpec {
  readonly name: string;
  readonly url: string;
  readonly port: number;
  readonly claim: ClaimRequest;
  readonly logFile: string;
  readonly steps: readonly StopStep[];
  readonly startMsMax: number;
  /** Called for each start, so that a restart can prepare anew what the last run used up. */
  launch(): Launch | Promise<Launch>;
  isReady(pid: number): boolean | Promise<boolean>;
  /** Looks at what a failed start logged: true = worth another try. */
  retry?(log: string): boolean | Promise<boolean>;
  /** The error for a start that failed for good. */
  failure(log: string): Error;
}

type RunningClaim = Exclude<Claimed, { kind: "start" }>;

/**
 * Starts a server, or takes the one that isGone, runs, as the claim on its data decides.
 * @param prepare what to run; gets the claim of the server that runs already, if one does
 */
export async function openServer(
  claim: ClaimRequest,
  prepare: (running: Claim | undefined) => Promise<ServerSpec>,
): Promise<OwnPart> {
  for (;;) {
    const claimed = await takeClaim(claim);
    if (claimed.kind !== "start") {
      const taken = await takeRunning(await prepare(claimed.claim), claimed);
      if (taken !== undefined) return taken;
      continue;
    }
    try {
      return await startOnFreePort(claim, prepare);
    } catch (error) {
      releaseClaim(claim.file);
      throw error;
    }
  }
}

/** Undefined when the server went away while we looked: its owner was about to die, or somebody stopped it. */
async function takeRunning(spec: ServerSpec, claimed: RunningClaim): Promise<OwnPart | undefined> {
  const { pid, starter } = claimed.claim;
  const hasGone = () => isGone(pid, spec.claim.marker);
  await waitFor(async () => hasGone() || (await spec.isReady(pid)), spec.startMsMax);
  if (hasGone()) return undefined;
  if (!(await spec.isReady(pid))) {
    throw new PartFailedError(spec.name, `process ${pid} runs on port ${spec.port} and does not answer`);
  }
  if (claimed.kind === "borrow") {
    // An owner that was just killed counts as living until the kernel has taken it down, and takes the server along.
    await sleep(50);
    return exists(starter) && !hasGone() ? borrowedServer(spec, pid, starter) : undefined;
  }
  if (spec.claim.ownedBy === "process") guard({ pid, marker: spec.claim.marker, steps: spec.steps });
  return ownServer(spec, pid);
}

/** A port found free may be gone when the server binds it; where any port will do, it gets another. */
async function startOnFreePort(
  claim: ClaimRequest,
  prepare: (running: undefined) => Promise<ServerSpec>,
): Promise<OwnPart> {
  for (let attempt = 1; ; attempt += 1) {
    const spec = await prepare(undefined);
    try {
      return ownServer(spec, await launchServer(spec));
    } catch (error) {
      const another = claim.port === 0 && error instanceof PortTakenError && attempt < 5;
      if (!another) throw error;
    }
  }
}

export async function stopProcess(pid: number, marker: string, steps: readonly StopStep[]): Promise<void> {
  for (const step of steps) {
    if (!runs(pid, marker) || !sendSignal(pid, step.signal)) return;
    if (await waitFor(() => isGone(pid, marker), step.waitMs, 5)) return;
  }
  throw new PartFailedError("stop", `process ${pid} does not end, not even by SIGKILL`);
}

function ownServer(spec: ServerSpec, firstPid: number): OwnPart {
  let pid = firstPid;
  const end = async (steps: readonly StopStep[]): Promise<void> => {
    await stopProcess(pid, spec.claim.marker, steps);
    unguard(pid);
  };
  // One at a time: a stop that comes while a restart is under way must stop what that restart started.
  let queue: Promise<void> = Promise.resolve();
  const inTurn = (action: () => Promise<void>): Promise<void> => {
    const result = queue.then(action);
    queue = result.catch(() => undefined);
    return result;
  };
  return {
    name: spec.name,
    url: spec.url,
    get pid() {
      return pid;
    },
    stop: () =>
      inTurn(async () => {
        await end(spec.steps);
        if (pid !== 0) releaseClaim(spec.claim.file);
        pid = 0;
      }),
    kill: (signal) => inTurn(() => end([{ signal, waitMs: 10_000 }])),
    restart: () =>
      inTurn(async () => {
        await end(spec.steps);
        pid = await launchServer(spec);
      }),
  };
}

/** A server that another owner runs: stop() leaves it alone, for it is in use. */
function borrowedServer(spec: ServerSpec, pid: number, starter: number): OwnPart {
  const refuse = () =>
    Promise.reject(new PartInUseError(spec.name, starter, `belongs to process ${starter}`));
  return { name: spec.name, url: spec.url, pid, stop: async () => undefined, kill: refuse, restart: refuse };
}

async function launchServer(spec: ServerSpec): Promise<number> {
  const deadline = Date.now() + spec.startMsMax;
  for (;;) {
    const attempt = await launchOnce(spec, deadline);
    if (typeof attempt === "number") return attempt;
    if (Date.now() >= deadline || !(await spec.retry?.(attempt.log))) throw spec.failure(attempt.log);
    await sleep(50);
  }
}

/** The process id of the server that is ready, or what it logged before it ended. */
async function launchOnce(spec: ServerSpec, deadline: number): Promise<number | { log: string }> {
  const log = openLog(spec.logFile);
  const owned = spec.claim.ownedBy === "process";
  const launch = await spec.launch();
  const child = spawnServer(launch, log.fd);
  let ended: string | undefined;
  child.once("error", (error) => {
    ended = error.message;
  });
  child.once("exit", (code, signal) => {
    ended ??= `ended with ${signal ?? `code ${code}`}`;
  });
  closeSync(log.fd);
  const pid = child.pid;
  if (pid !== undefined) {
    if (owned) guard({ pid, marker: spec.claim.marker, steps: spec.steps });
    recordClaim(spec.claim, pid, spec.port);
    const settled = async () => ended !== undefined || (await spec.isReady(pid));
    const inTime = await waitFor(settled, deadline - Date.now());
    if (inTime && ended === undefined) return pid;
    if (!inTime) ended = `not ready after ${spec.startMsMax} ms`;
    child.kill("SIGKILL");
    await waitFor(() => !runs(pid, spec.claim.marker), 10_000);
    if (owned) unguard(pid);
  } else {
    await waitFor(() => ended !== undefined, 1_000);
  }
  return { log: `${readFrom(spec.logFile, log.size)}\n${ended}` };
}

/** In a session of its own (Ctrl+C is for us, who stop it in good order) and outliving us unless it is guarded. */
function spawnServer(launch: Launch, logFd: number): ChildProcess {
  const child = spawn(launch.command, launch.args, {
    cwd: "/",
    detached: true,
    env: launch.env ?? process.env,
    stdio: ["ignore", logFd, logFd],
    uid: launch.account?.uid,
    gid: launch.account?.gid,
  });
  child.unref();
  return child;
}

const logBytesMax = 16 * 1024 * 1024;

/** Appends, and keeps one older file, so that a log cannot fill the disk over many starts. */
function openLog(file: string): { fd: number; size: number } {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= logBytesMax) return { fd: openSync(file, "a"), size };
  renameSync(file, `${file}.1`);
  return { fd: openSync(file, "a"), size: 0 };
}

function readFrom(file: string, position: number): string {
  const fd = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(64 * 1024);
    return buffer.toString("utf8", 0, readSync(fd, buffer, 0, buffer.length, position));
  } finally {
    closeSync(fd);
  }
}
