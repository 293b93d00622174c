import { createHash } from "node:crypto";
import { SERVICE_NAMES } from "../../../lib/settings.ts";
import { Random } from "../../support/random.ts";

/** Which faults happen when: all of it drawn from the seed before anything runs, so that it can be seen again. */

export const FAULT_KINDS = [
  "kill",
  "pause",
  "rolling-restart",
  "postgres-crash",
  "postgres-restart",
  "kafka-crash",
  "kafka-restart",
  "kafka-pause",
  "nats-crash",
  "nats-restart",
  "backends-terminated",
  "connections-exhausted",
  "tables-locked",
  "disk-full",
  "line-delayed",
  "line-slow",
  "line-blackhole",
  "line-refusing",
  "line-reset",
  "line-half-open",
  "answers-lost",
  "rebalance",
  "poison",
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  /** In a storm: from its beginning. Among deaths: after all that the one before had interrupted was done. */
  readonly atMs: number;
  readonly kind: FaultKind;
  /** A process, a database, a line or a topic; empty where there is but one. */
  readonly target: string;
  readonly lastsMs: number;
}

export interface Round {
  /** "deaths": one process after the other is killed, so that take-overs can be measured. "storm": all at once. */
  readonly name: "deaths" | "storm";
  /** Of deaths: about so long. */
  readonly lastsMs: number;
  readonly faults: readonly PlannedFault[];
}

export const REPLICAS = [1, 2] as const;
export const MEMBER_NAMES = SERVICE_NAMES.flatMap((name) => REPLICAS.map((replica) => `${name}-${replica}`));
/** To these each process has a line of its own; to the gateways the clients have one. */
export const SERVERS = ["postgres", "nats", "kafka"] as const;
export const LINES = [
  ...MEMBER_NAMES.flatMap((member) => SERVERS.map((server) => `${member}>${server}`)),
  ...REPLICAS.map((replica) => `clients>gateway-${replica}`),
];
const DATABASES = ["order", "product", "payment", "customer", "saga"] as const;
export const POISONED = [
  "oms.orders.events",
  "oms.products.events",
  "oms.payments.events",
  "oms.saga.commands",
];
const GROUPS = [
  "order-service-group",
  "product-service-group",
  "payment-service-group",
  "saga-service-group",
];

/** One thing after the other, with pauses: what several tracks do happens at once. */
interface Track {
  readonly gapMs: readonly [number, number];
  readonly kinds: Readonly<Partial<Record<FaultKind, number>>>;
}

const processes: Track = {
  gapMs: [900, 2_600],
  kinds: { kill: 16, pause: 3, "rolling-restart": 1 },
};
const servers: Track = {
  gapMs: [3_000, 8_000],
  kinds: {
    "postgres-crash": 3,
    "postgres-restart": 3,
    "kafka-crash": 1,
    "kafka-restart": 1,
    "kafka-pause": 1,
    "nats-crash": 2,
    "nats-restart": 2,
    "disk-full": 2,
  },
};
const sessions: Track = {
  gapMs: [1_500, 5_000],
  kinds: {
    "backends-terminated": 3,
    "connections-exhausted": 2,
    "tables-locked": 2,
    rebalance: 2,
    poison: 3,
  },
};
const lines: Track = {
  gapMs: [400, 2_000],
  kinds: {
    "line-delayed": 2,
    "line-slow": 2,
    "line-blackhole": 3,
    "line-refusing": 2,
    "line-reset": 3,
    "line-half-open": 2,
    "answers-lost": 4,
  },
};

const ROUND_MS = { deaths: 20_000, storm: 40_000 } as const;
/** A death, and the work that it has interrupted. */
const DEATH_MS = 5_000;
const SHORTEST_ROUND_MS = DEATH_MS;
const MS_PER_MINUTE = 60_000;

export interface Plan {
  readonly seed: number;
  readonly rounds: readonly Round[];
  /** Of all that is planned: the same for the same seed, length and release. */
  readonly fingerprint: string;
}

/** @param minutes under faults, in all */
export function plan(seed: number, minutes: number, without: ReadonlySet<FaultKind> = new Set()): Plan {
  const random = new Random(seed);
  const rounds: Round[] = [];
  let leftMs = minutes * MS_PER_MINUTE;
  for (let turn = 0; leftMs >= SHORTEST_ROUND_MS; turn += 1) {
    const name = turn % 2 === 0 ? "deaths" : "storm";
    const lastsMs = Math.min(ROUND_MS[name], leftMs);
    const faults = name === "deaths" ? deathsOf(lastsMs, random) : stormOf(lastsMs, random);
    // Drawn and then left out: what remains is the same as with them.
    rounds.push({ name, lastsMs, faults: faults.filter(({ kind }) => !without.has(kind)) });
    leftMs -= lastsMs;
  }
  const fingerprint = createHash("sha256").update(JSON.stringify(rounds)).digest("hex").slice(0, 12);
  return { seed, rounds, fingerprint };
}

function deathsOf(roundMs: number, random: Random): PlannedFault[] {
  return Array.from({ length: Math.round(roundMs / DEATH_MS) }, () => ({
    atMs: random.between(500, 2_000),
    kind: "kill",
    target: targetOf("kill", random),
    lastsMs: 0,
  }));
}

function stormOf(roundMs: number, random: Random): PlannedFault[] {
  const faults = [processes, servers, sessions, lines].flatMap((track) => faultsOf(track, roundMs, random));
  return faults.sort((one, other) => one.atMs - other.atMs);
}

function faultsOf({ gapMs, kinds }: Track, roundMs: number, random: Random): PlannedFault[] {
  const faults: PlannedFault[] = [];
  const weighted = Object.entries(kinds).flatMap(([kind, weight]) => Array<string>(weight).fill(kind));
  let atMs = random.between(...gapMs);
  while (atMs < roundMs) {
    const kind = pick(weighted, random) as FaultKind;
    const lastsMs = Math.min(lengthOf(kind, random), roundMs - atMs);
    faults.push({ atMs, kind, target: targetOf(kind, random), lastsMs });
    // Servers one at a time: with two away at once all that is measured is patience.
    atMs += random.between(...gapMs) + (LASTING.has(kind) ? lastsMs : 0);
  }
  return faults;
}

/** The next fault of the same track waits for their end. */
const LASTING: ReadonlySet<FaultKind> = new Set([
  "postgres-crash",
  "postgres-restart",
  "kafka-crash",
  "kafka-restart",
  "kafka-pause",
  "nats-crash",
  "nats-restart",
  "disk-full",
  "connections-exhausted",
  "tables-locked",
]);

function lengthOf(kind: FaultKind, random: Random): number {
  if (kind === "pause") return random.between(500, 12_000);
  if (kind.startsWith("postgres") || kind.startsWith("nats")) return random.between(200, 3_000);
  // Longer than the broker's session with its controller: it is fenced.
  if (kind === "kafka-pause") return random.between(4_000, 10_000);
  if (kind.startsWith("kafka")) return random.between(500, 5_000);
  if (kind === "line-blackhole" || kind === "line-half-open") return random.between(1_000, 12_000);
  if (kind.startsWith("line")) return random.between(500, 6_000);
  if (kind === "answers-lost") return random.between(50, 1_000);
  return random.between(500, 3_000);
}

function targetOf(kind: FaultKind, random: Random): string {
  if (kind === "kill" || kind === "pause") return pick(MEMBER_NAMES, random);
  if (kind === "rolling-restart") return pick(SERVICE_NAMES, random);
  if (kind.startsWith("line") || kind === "answers-lost") return pick(LINES, random);
  if (kind === "backends-terminated" || kind === "tables-locked") return pick(DATABASES, random);
  if (kind === "rebalance") return pick(GROUPS, random);
  if (kind === "poison") return pick(POISONED, random);
  return "";
}

function pick<T>(all: readonly T[], random: Random): T {
  const one = all[random.between(0, all.length - 1)];
  if (one === undefined) throw new Error("nothing to draw from");
  return one;
}
