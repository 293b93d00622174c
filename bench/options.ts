import { parseArgs } from "node:util";
import { type Cell, FLOWS, type FlowKind, type Variant } from "./load/protocol.ts";

export interface BenchOptions {
  readonly system: "start" | "stack";
  readonly study: "cells" | "costs" | "flat" | "profile" | "statements";
  readonly cells: readonly Cell[];
  readonly seconds: number;
  readonly warmSeconds: number;
  readonly runs: number;
  /** Orders that --flat drives. */
  readonly orders: number;
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

export const USAGE = `node bench/bench.ts [options]      (npm run bench -- [options])

What to run:
  --stack              real NATS and Kafka, a process per service (default: npm start's single process)
  --concurrency 1,16   orders in flight, one cell each (default 1,16,64,256)
  --flow pay           create (default), pay, get (GET /orders/{id}), mixed (70 % create, 20 % pay, 10 % cancel) or
                       several; what is not create has no floor, and the audit looks at the system afterwards
  --follow             POST, then a GET that waits: shows what 202 takes (default: the POST waits)
  --variants hot       uniform (2 of 1,000 products), hot (always the same two) or both (default)
  --seconds 10         measured time of a cell
  --warm 3             time before it that is not counted
  --runs 1             rounds over all cells; more than one: medians and spreads
  --log-level info     LOG_LEVEL of the system; its log goes to a file
  --no-floor           leaves the plain SQL out
  --quick              3 s after 1 s, at 1, 16 and 64
  --patience 0         longest wait, in seconds, before a cell for a machine that others leave alone
  --json FILE          writes everything measured as JSON
  --keep               keeps the data folder, with the system's log

Other studies:
  --costs              statements, rows, log and memory an order, against bench/cost-budget.json; --accept writes that
  --flat               does an order cost the same after many? [--orders 100000]
  --profile            CPU profile of the services at each --concurrency (default 1,64)
  --statements         what PostgreSQL spends per statement (pg_stat_statements), same default`;

const DEFAULTS = { seconds: 10, warm: 3, concurrency: [1, 16, 64, 256] };
const QUICK = { seconds: 3, warm: 1, concurrency: [1, 16, 64] };
const STUDY = { ...DEFAULTS, concurrency: [1, 64] };

const OPTIONS = {
  stack: { type: "boolean" },
  concurrency: { type: "string" },
  flow: { type: "string" },
  follow: { type: "boolean" },
  variants: { type: "string" },
  seconds: { type: "string" },
  warm: { type: "string" },
  runs: { type: "string" },
  orders: { type: "string" },
  patience: { type: "string" },
  "log-level": { type: "string" },
  floor: { type: "boolean" },
  quick: { type: "boolean" },
  json: { type: "string" },
  keep: { type: "boolean" },
  costs: { type: "boolean" },
  accept: { type: "boolean" },
  flat: { type: "boolean" },
  profile: { type: "boolean" },
  statements: { type: "boolean" },
  help: { type: "boolean" },
} as const;

/** @throws TypeError, RangeError an option that does not exist or makes no sense; undefined when help is wanted */
export function readOptions(args: readonly string[]): BenchOptions | undefined {
  const { values } = parseArgs({ args: [...args], options: OPTIONS, allowNegative: true });
  if (values.help) return undefined;
  const study = values.costs
    ? "costs"
    : values.flat
      ? "flat"
      : values.profile
        ? "profile"
        : values.statements
          ? "statements"
          : "cells";
  const defaults = values.quick ? QUICK : study === "cells" ? DEFAULTS : STUDY;
  const concurrency = values.concurrency?.split(",").map((one) => positive("concurrency", one));
  const flows = (values.flow ?? "create").split(",").map(flowOf);
  const variants = (values.variants ?? (study === "cells" ? "uniform,hot" : "uniform"))
    .split(",")
    .map(variantOf);
  return {
    system: values.stack ? "stack" : "start",
    study,
    cells: flows.flatMap((flow) =>
      variants.flatMap((variant) =>
        (concurrency ?? defaults.concurrency).map((one) => ({
          flow,
          variant,
          concurrency: one,
          ...(values.follow && { follow: true }),
        })),
      ),
    ),
    seconds: positive("seconds", values.seconds, defaults.seconds),
    warmSeconds: positive("warm", values.warm, defaults.warm),
    runs: positive("runs", values.runs, 1),
    orders: positive("orders", values.orders, 100_000),
    logLevel: values["log-level"] ?? process.env.LOG_LEVEL ?? "info",
    floor: values.floor ?? true,
    pgbench: !values.quick,
    keep: values.keep ?? false,
    patienceMs: 1_000 * Number(values.patience ?? 0),
    jsonFile: values.json,
    accept: values.accept ?? false,
  };
}

function positive(name: string, given: string | undefined, fallback?: number): number {
  const value = given === undefined ? fallback : Number(given);
  if (value === undefined || !Number.isFinite(value) || value <= 0)
    throw new RangeError(`--${name}: "${given}" is not a number above 0`);
  return value;
}

function flowOf(name: string): FlowKind {
  const flow = FLOWS.find((one) => one === name);
  if (flow === undefined) throw new RangeError(`--flow: there is no flow ${name}`);
  return flow;
}

function variantOf(name: string): Variant {
  if (name !== "uniform" && name !== "hot") throw new RangeError(`--variants: there is no variant ${name}`);
  return name;
}
