import { setTimeout as wait } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import { STRIKES } from "./faults.ts";
import type { FaultKind, PlannedFault, Round } from "./schedule.ts";

/** A fault that was brought about, or could not be. */
export interface Struck {
  readonly fault: PlannedFault;
  readonly at: Date;
  /** Why it came to nothing: what it needs was away itself. */
  readonly missed?: string;
}

/** One at a time, however long each takes: two servers away at once is one outage, and the longer one. */
const ONE_AT_A_TIME: ReadonlySet<FaultKind> = new Set([
  "postgres-crash",
  "postgres-restart",
  "kafka-crash",
  "kafka-restart",
  "nats-crash",
  "nats-restart",
  "disk-full",
]);
const undoneMsMax = 180_000;

/** Carries out a round as planned; resolves when all of its faults are undone. */
export async function carryOut(
  cluster: Cluster,
  round: Round,
  tell: (line: string) => void,
): Promise<Struck[]> {
  const over = new AbortController();
  const last = (ms: number) => wait(ms, undefined, { signal: over.signal }).catch(() => undefined);
  const startedAt = performance.now();
  const strikes: Promise<Struck>[] = [];
  let servers: Promise<unknown> = Promise.resolve();
  const strike = async (fault: PlannedFault): Promise<Struck> => {
    const at = new Date();
    if (over.signal.aborted) return { fault, at, missed: "the round was over" };
    tell(`${fault.kind} ${fault.target}`.trimEnd());
    try {
      await STRIKES[fault.kind](cluster, fault, last);
      return { fault, at };
    } catch (error) {
      return { fault, at, missed: error instanceof Error ? error.message : String(error) };
    }
  };
  for (const fault of round.faults) {
    await wait(Math.max(0, startedAt + fault.atMs - performance.now()));
    if (!ONE_AT_A_TIME.has(fault.kind)) strikes.push(strike(fault));
    else {
      const inTurn = servers.then(() => strike(fault));
      servers = inTurn;
      strikes.push(inTurn);
    }
  }
  await wait(Math.max(0, startedAt + round.lastsMs - performance.now()));
  over.abort();
  const late = wait(undoneMsMax, undefined, { ref: false }).then(() => {
    throw new Error(`the faults are not undone after ${undoneMsMax} ms`);
  });
  const struck = await Promise.race([Promise.all(strikes), late]);
  for (const line of cluster.lines.values()) line.become({ kind: "good" });
  for (const member of cluster.members.values()) member.thaw();
  return struck;
}
