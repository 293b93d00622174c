import type { LoadDriver } from "../load/driver.ts";
import type { Cell, FinishedOrder, LoadRequest, LoadResult } from "../load/protocol.ts";
import type { Counters, Meter, Phase } from "./counters.ts";
import { quantileMs } from "./histogram.ts";
import { residentMb, shareOfMachine, waitForQuiet } from "./processes.ts";

/** What an order cost, on average over the measured time. */
export interface Costs {
  /** SQL statements that the services sent; undefined for the floor. */
  readonly statements?: number;
  readonly commits?: number;
  /** Commits that PostgreSQL saw, of everybody. */
  readonly serverCommits: number;
  readonly walBytes: number;
  /** Of the services, or of the floor's process. */
  readonly nodeCpuMs: number;
  readonly postgresCpuMs: number;
  /** Of NATS and Kafka. */
  readonly brokersCpuMs: number;
  /** Of the process that sends the requests; undefined for the floor, which sends none. */
  readonly clientCpuMs?: number;
}

export interface Measured extends Omit<LoadResult, "finished"> {
  readonly ordersPerSecond: number;
  readonly perOrder: Costs;
  /** How long the phases of payments took, where there were any. */
  readonly phases: Readonly<Record<Phase, PhaseTimes>>;
  readonly residentMb: number;
  /** Part of the machine, 0 to 1, that programs other than the bench's used meanwhile. */
  readonly othersShare: number;
  /** Part of the machine that nobody used. */
  readonly idleShare: number;
}

interface PhaseTimes {
  readonly p50?: number;
  readonly p95?: number;
}

export interface Run {
  readonly measured: Measured;
  readonly finished: readonly FinishedOrder[];
}

/** What the load process is: a client of the API, the floor, or an engine together with its client. */
export type LoadKind = "api" | "floor" | "engine";

/**
 * Runs one cell's load and reads all counters at the edges of its measured time.
 * @param patienceMs how long to wait, at most, for other programs to leave the machine alone
 * @param onMeasuring called when the measured time begins: orders that are to be paid have been made by then
 */
export async function runCell(
  load: LoadDriver,
  meter: Meter,
  request: LoadRequest,
  kind: LoadKind,
  patienceMs = 0,
  onMeasuring: () => void = () => undefined,
): Promise<Run> {
  if (patienceMs > 0) await waitForQuiet(patienceMs);
  const edges: Promise<Counters>[] = [];
  const mark = () => {
    const edge = meter.read(load.pid);
    // Awaited below; a system that has gone must not count as an unhandled error meanwhile.
    edge.catch(() => undefined);
    edges.push(edge);
  };
  const begin = () => {
    onMeasuring();
    mark();
  };
  const { finished, ...result } = await load.run(request, begin, mark);
  const [before, after] = await Promise.all(edges);
  if (before === undefined || after === undefined) throw new Error("the load process told no edges");
  return { measured: measuredOf(kind, result, before, after, meter.servicePids()), finished };
}

function measuredOf(
  kind: LoadKind,
  result: Omit<LoadResult, "finished">,
  before: Counters,
  after: Counters,
  servicePids: readonly number[],
): Measured {
  const per = (read: (counters: Counters) => number) => (read(after) - read(before)) / result.orders;
  const elapsedMs = after.atMs - before.atMs;
  const shareOf = (read: (counters: Counters) => number) =>
    shareOfMachine(read(after) - read(before), elapsedMs);
  const ours = shareOf(({ cpu }) => cpu.services + cpu.load + cpu.postgres + cpu.brokers);
  const busy = shareOf(({ cpu }) => cpu.busy);
  const common = {
    serverCommits: per(({ serverCommits }) => serverCommits),
    walBytes: per(({ walBytes }) => walBytes),
    postgresCpuMs: per(({ cpu }) => cpu.postgres),
    brokersCpuMs: per(({ cpu }) => cpu.brokers),
  };
  const own = ({ cpu }: Counters) => cpu.load + (kind === "engine" ? cpu.services : 0);
  const perOrder =
    kind !== "api"
      ? { ...common, nodeCpuMs: per(own) }
      : {
          ...common,
          statements: per(({ statements }) => statements),
          commits: per(({ commits }) => commits),
          nodeCpuMs: per(({ cpu }) => cpu.services),
          clientCpuMs: per(({ cpu }) => cpu.load),
        };
  return {
    ...result,
    ordersPerSecond: result.orders / result.seconds,
    perOrder,
    phases: { try: phaseTimes("try", before, after), confirm: phaseTimes("confirm", before, after) },
    residentMb: residentMb(servicePids),
    // Both are measured in ticks: a little below zero is zero.
    othersShare: Math.max(0, busy - ours),
    idleShare: Math.max(0, 1 - busy),
  };
}

function phaseTimes(phase: Phase, before: Counters, after: Counters): PhaseTimes {
  const at = (share: number) => quantileMs(before.phases[phase], after.phases[phase], share);
  return { p50: at(0.5), p95: at(0.95) };
}

export function nameOf({ flow, variant, concurrency, perSecond, inBursts }: Cell): string {
  const load =
    perSecond !== undefined ? `${perSecond}/s` : inBursts ? `${concurrency} at once` : `c=${concurrency}`;
  return `${flow === "create" ? "" : `${flow} `}${variant} ${load}`;
}
