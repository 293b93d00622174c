import { Clients } from "./clients.ts";
import { Choices, type Rates, type Struck } from "./faults.ts";
import { MessageWorld } from "./messages/world.ts";
import type { Mutation } from "./mutations.ts";
import { Scheduler, Violation } from "./scheduler.ts";
import type { Simulated } from "./simulated.ts";
import { inVirtualTime } from "./virtual-time.ts";
import { type Scene, World } from "./world.ts";

export const WORLDS = ["orders", "messages"] as const;
export type WorldName = (typeof WORLDS)[number];

export interface ScheduleOptions {
  readonly seed: number;
  /** Orders, their sagas and payments (the default), or outbox, relay and inbox. */
  readonly world?: WorldName;
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
  "bus-away": 0.3,
  "bus-unheard": 0.3,
  "bus-refuses": 0.1,
};

/** Longest that the system may need once the faults have healed. */
export const REST_MS = 180_000;

/** Runs one schedule: a scene, clients and faults drawn by the seed, then rest. */
export async function runSchedule(options: ScheduleOptions): Promise<ScheduleResult> {
  const { seed, only } = options;
  const scheduler = new Scheduler((now) => new Choices({ seed, only }, now), options.trace);
  const healsAtMs = drawFaults(scheduler.random);
  const violation = await inVirtualTime(scheduler, async () => {
    try {
      await runToRest(scheduler, create(options, scheduler, healsAtMs), healsAtMs);
      return undefined;
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      return error.message;
    }
  });
  const { steps, fingerprint, trace, nowMs } = scheduler;
  const restMs = Math.max(0, nowMs - healsAtMs);
  return { seed, violation, faults: scheduler.random.struck, steps, restMs, fingerprint, trace };
}

function create({ world, mutation }: ScheduleOptions, scheduler: Scheduler, healsAtMs: number): Simulated {
  if (world === "messages") return new MessageWorld(scheduler, healsAtMs, mutation);
  const orders = new World(scheduler, drawScene(scheduler.random), mutation);
  orders.serve(new Clients(orders));
  return orders;
}

async function runToRest(scheduler: Scheduler, world: Simulated, healsAtMs: number): Promise<void> {
  const isOver = () => {
    if (world.areDone && world.isAtRest()) return true;
    if (scheduler.nowMs <= healsAtMs + REST_MS) return false;
    throw new Violation(`no rest ${REST_MS / 1_000} s after the faults: ${world.unended().join(", ")}`);
  };
  await scheduler.run(isOver, () => world.check());
  if (!isOver()) throw new Violation(`it has stopped: ${world.unended().join(", ")}`);
  world.atRest();
  world.check();
}

/** Some kinds of faults in one schedule, others in the next: rare combinations come up so. */
function drawFaults(choices: Choices): number {
  const rates: Record<string, number> = {};
  for (const [kind, rate] of Object.entries(RATES_MAX)) {
    const random = choices.at(`rate of ${kind}`);
    if (random.chance(0.35)) rates[kind] = rate * random.next();
  }
  const healsAtMs = choices.at("heals").between(100, 20_000);
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
