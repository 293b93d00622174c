import { Clients } from "./clients.ts";
import { Choices, type Rates, type Struck } from "./faults.ts";
import type { Mutation } from "./mutations.ts";
import { Scheduler, Violation } from "./scheduler.ts";
import { type Scene, World } from "./world.ts";

export interface ScheduleOptions {
  readonly seed: number;
  readonly mutation?: Mutation;
  /** Of a replay that has shrunk: only these faults strike. */
  readonly only?: ReadonlySet<string>;
  readonly trace?: boolean;
}

export interface ScheduleResult {
  readonly seed: number;
  readonly violation?: string;
  readonly faults: readonly Struck[];
  readonly steps: number;
  /** From the moment the faults had healed to that in which everything was at rest. */
  readonly restMs: number;
  /** Tells whether two runs went the same way. */
  readonly fingerprint: number;
  readonly trace?: readonly string[];
}

/** How often at most a kind of fault strikes; those of processes are drawn at each step. */
const RATES_MAX: Rates = {
  crash: 0.02,
  pause: 0.01,
  unheard: 0.1,
  unsent: 0.1,
  slow: 0.1,
  outage: 0.3,
  unmarked: 0.3,
  rewind: 0.3,
  uncommitted: 0.3,
  "request-lost": 0.2,
  "request-twice": 0.3,
  "reply-lost": 0.2,
  away: 0.2,
  "provider-silent": 0.3,
  "provider-away": 0.2,
};

/** Longest that the system may need once the faults have healed. */
export const REST_MS = 180_000;

/** Runs one schedule: a scene, clients and faults drawn by the seed, then rest. */
export async function runSchedule(options: ScheduleOptions): Promise<ScheduleResult> {
  const { seed, only } = options;
  const scheduler = new Scheduler((now) => new Choices({ seed, only }, now), options.trace);
  const healsAtMs = drawFaults(scheduler.random);
  const real = globalThis.setImmediate;
  // The batcher waits for the end of a tick: here a step of the schedule as any other.
  globalThis.setImmediate = ((run: () => void) =>
    scheduler.post("batch", 0, run, scheduler.current)) as unknown as typeof setImmediate;
  let restMs = 0;
  let violation: string | undefined;
  try {
    const world = new World(scheduler, drawScene(scheduler.random), options.mutation);
    const clients = new Clients(world);
    await scheduler.run(
      () => isOver(world, clients, healsAtMs),
      () => world.check(),
    );
    if (!clients.areDone || !world.isAtRest())
      throw new Violation(`it has stopped: ${world.unended().join(", ")}`);
    world.invariants.atRest();
    world.check();
    restMs = Math.max(0, scheduler.nowMs - healsAtMs);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error.message;
  } finally {
    globalThis.setImmediate = real;
  }
  const { steps, fingerprint, trace } = scheduler;
  return { seed, violation, faults: scheduler.random.struck, steps, restMs, fingerprint, trace };
}

function isOver(world: World, clients: Clients, healsAtMs: number): boolean {
  if (clients.areDone && world.isAtRest()) return true;
  if (world.scheduler.nowMs > healsAtMs + REST_MS) {
    throw new Violation(`no rest ${REST_MS / 1_000} s after the faults: ${world.unended().join(", ")}`);
  }
  return false;
}

/** Some kinds of faults in one schedule, others in the next: rare combinations come up so. */
function drawFaults(choices: Choices): number {
  const random = choices.at("faults");
  const rates: Record<string, number> = {};
  for (const [kind, rate] of Object.entries(RATES_MAX)) {
    if (random.chance(0.35)) rates[kind] = rate * random.next() ** 2;
  }
  const healsAtMs = random.between(100, 20_000);
  choices.arm(rates, healsAtMs);
  return healsAtMs;
}

function drawScene(choices: Choices): Scene {
  const random = choices.at("scene");
  return {
    nodes: random.between(1, 3),
    stock: new Map([
      ["p1", random.between(1, 4)],
      ["p2", random.between(0, 6)],
    ]),
    ttlMs: random.chance(0.3) ? random.between(50, 5_000) : 900_000,
    deadlineMs: random.chance(0.3) ? random.between(10, 6_000) : 14 * 60_000,
    cacheSizeMax: random.chance(0.2) ? 1 : 1_000,
    inactive: new Set(random.chance(0.1) ? ["customer 1"] : []),
  };
}
