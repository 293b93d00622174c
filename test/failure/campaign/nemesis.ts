import { setTimeout as wait } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import { type Last, STRIKES } from "./faults.ts";
import { recovered } from "./recovery.ts";
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
  "kafka-pause",
  "nats-crash",
  "nats-restart",
  "disk-full",
]);
const undoneMsMax = 180_000;

type Tell = (line: string) => void;

async function strike(cluster: Cluster, fault: PlannedFault, last: Last, tell: Tell): Promise<Struck> {
  const at = new Date();
  tell(`${fault.kind} ${fault.target}`.trimEnd());
  try {
    await STRIKES[fault.kind](cluster, fault, last);
    return { fault, at };
  } catch (error) {
    return { fault, at, missed: error instanceof Error ? error.message : String(error) };
  }
}

/** One after the other, each when what the one before has interrupted is done. @throws Error it is not, in time */
export async function carryOutDeaths(
  cluster: Cluster,
  round: Round,
  tell: Tell,
  doneMsMax: number,
): Promise<Struck[]> {
  const struck: Struck[] = [];
  for (const fault of round.faults) {
    await wait(fault.atMs);
    struck.push(await strike(cluster, fault, () => Promise.resolve(), tell));
    await recovered(cluster, doneMsMax);
    for (const member of cluster.members.values()) await member.ready(doneMsMax);
  }
  return struck;
}

/** All faults as planned, one upon the other; resolves when all of them are undone. */
export async function carryOutStorm(cluster: Cluster, round: Round, tell: Tell): Promise<Struck[]> {
  const over = new AbortController();
  const last: Last = (ms) => wait(ms, undefined, { signal: over.signal }).catch(() => undefined);
  const startedAt = performance.now();
  const strikes: Promise<Struck>[] = [];
  let servers: Promise<unknown> = Promise.resolve();
  const strikeUnlessOver = (fault: PlannedFault): Promise<Struck> =>
    over.signal.aborted
      ? Promise.resolve({ fault, at: new Date(), missed: "the round was over" })
      : strike(cluster, fault, last, tell);
  for (const fault of round.faults) {
    await wait(Math.max(0, startedAt + fault.atMs - performance.now()));
    if (!ONE_AT_A_TIME.has(fault.kind)) strikes.push(strikeUnlessOver(fault));
    else {
      const inTurn = servers.then(() => strikeUnlessOver(fault));
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
