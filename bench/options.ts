import { parseArgs } from "node:util";
import { type Cell, FLOWS, type FlowKind, VARIANTS, type Variant } from "./load/protocol.ts";
import { USAGE } from "./usage.ts";

/** What else can be looked at than the cells of a table; each is a flag of its name. */
export const STUDIES = [
  "backlog",
  "costs",
  "flash",
  "flat",
  "history",
  "peers",
  "profile",
  "retention",
  "statements",
  "waiting",
] as const;
export type StudyName = "cells" | (typeof STUDIES)[number];

export interface BenchOptions {
  readonly system: "start" | "stack";
  /** Processes of each service. */
  readonly replicas: number;
  readonly study: StudyName;
  readonly cells: readonly Cell[];
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly runs: number;
  /** Orders that --flat drives, buyers of --flash, events of --backlog, old rows of --retention, sagas of --waiting. */
  readonly orders: number;
  /** Past orders of --history. */
  readonly sizes: readonly number[];
  readonly logLevel: string;
  readonly floor: boolean;
  readonly pgbench: boolean;
  /** Keeps the data folder, with logs and profiles. */
  readonly keep: boolean;
  readonly patienceMs: number;
  readonly jsonFile?: string;
  /** Writes what --costs has found as the budget that later runs are held against. */
  readonly accept: boolean;
}

const DEFAULTS = { seconds: 10, warm: 3, concurrency: [1, 16, 64, 256] };
const QUICK = { seconds: 3, warm: 1, concurrency: [1, 16, 64] };
const STUDY = { ...DEFAULTS, concurrency: [1, 64] };
const ORDERS: Partial<Record<StudyName, number>> = {
  backlog: 1_000_000,
  flash: 10_000,
  flat: 100_000,
  retention: 300_000,
  waiting: 10_000,
};
const SIZES = [0, 100_000];
/** In flight, in an open loop. The gateway refuses new work from 1,000 requests on. */
const IN_FLIGHT_MAX = 900;

const flag = { type: "boolean" } as const;
const text = { type: "string" } as const;
const OPTIONS = {
  ...(Object.fromEntries(STUDIES.map((study) => [study, flag])) as Record<
    (typeof STUDIES)[number],
    typeof flag
  >),
  all: flag,
  stack: flag,
  replicas: text,
  concurrency: text,
  rates: text,
  spike: text,
  flow: text,
  follow: flag,
  variants: text,
  seconds: text,
  warm: text,
  runs: text,
  orders: text,
  sizes: text,
  patience: text,
  "log-level": text,
  floor: flag,
  quick: flag,
  json: text,
  keep: flag,
  accept: flag,
  help: flag,
} as const;

type Values = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS, allowNegative: true }).values;
}

/** What to do: one bench, or all of them. @throws TypeError, RangeError an option that does not exist or makes no sense */
export function readCommand(
  args: readonly string[],
):
  | { readonly help: string }
  | { readonly all: readonly string[]; readonly jsonFile?: string }
  | BenchOptions {
  const values = parse(args);
  if (values.help) return { help: USAGE };
  if (values.all) return { all: args.filter((arg) => arg !== "--all"), jsonFile: values.json };
  return readOptions(args);
}

/** @throws TypeError, RangeError an option that does not exist or makes no sense */
export function readOptions(args: readonly string[]): BenchOptions {
  const values = parse(args);
  const study = STUDIES.find((one) => values[one]) ?? "cells";
  const defaults = values.quick ? QUICK : study === "cells" ? DEFAULTS : STUDY;
  const replicas = positive("replicas", values.replicas, 1);
  if (replicas > 1 && !values.stack) throw new RangeError("--replicas: goes with --stack");
  return {
    system: values.stack ? "stack" : "start",
    replicas,
    study,
    cells: cellsOf(values, study, defaults.concurrency),
    seconds: positive("seconds", values.seconds, defaults.seconds),
    warmSeconds: positive("warm", values.warm, defaults.warm),
    runs: positive("runs", values.runs, 1),
    orders: positive("orders", values.orders, ORDERS[study] ?? 0),
    sizes: values.sizes?.split(",").map(Number) ?? SIZES,
    logLevel: values["log-level"] ?? process.env.LOG_LEVEL ?? "info",
    floor: values.floor ?? true,
    pgbench: !values.quick,
    keep: values.keep ?? false,
    patienceMs: 1_000 * Number(values.patience ?? 0),
    jsonFile: values.json,
    accept: values.accept ?? false,
  };
}

function cellsOf(values: Values, study: StudyName, concurrency: readonly number[]): Cell[] {
  const flows = (values.flow ?? "create").split(",").map(flowOf);
  const variants = (values.variants ?? (study === "cells" ? "uniform,hot" : "uniform"))
    .split(",")
    .map(variantOf);
  const list = (name: "concurrency" | "rates" | "spike") =>
    values[name]?.split(",").map((one) => positive(name, one));
  const [rates = [], spikes = []] = [list("rates"), list("spike")];
  const isOpen = rates.length + spikes.length > 0;
  const closed = list("concurrency") ?? (isOpen ? [] : concurrency);
  const loads: readonly Omit<Cell, "flow" | "variant">[] = [
    ...closed.map((one) => ({ concurrency: one })),
    ...rates.map((perSecond) => ({ concurrency: IN_FLIGHT_MAX, perSecond })),
    ...spikes.map((one) => ({ concurrency: one, inBursts: true })),
  ];
  return flows.flatMap((flow) =>
    variants.flatMap((variant) =>
      loads.map((load) => ({ flow, variant, ...load, ...(values.follow && { follow: true }) })),
    ),
  );
}

function positive(name: string, given: string | undefined, fallback?: number): number {
  const value = given === undefined ? fallback : Number(given);
  if (given === undefined && fallback !== undefined) return fallback;
  if (value === undefined || !Number.isFinite(value) || value <= 0)
    throw new RangeError(`--${name}: "${given}" is not a number above 0`);
  return value;
}

function flowOf(name: string): FlowKind {
  const flow = FLOWS.find((one) => one === name);
  if (flow === undefined || flow === "flash") throw new RangeError(`--flow: there is no flow ${name}`);
  return flow;
}

function variantOf(name: string): Variant {
  const variant = VARIANTS.find((one) => one === name);
  if (variant === undefined) throw new RangeError(`--variants: there is no variant ${name}`);
  return variant;
}
