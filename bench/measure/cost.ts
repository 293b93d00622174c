import type { FlowKind } from "../load/protocol.ts";
import type { Written } from "./work.ts";

/** What one order may cost, counted. */
export interface Budget extends Written {
  readonly flow: FlowKind;
  /** How many began at once. */
  readonly together: number;
  /** Statements of the services, without begin and commit, the bus' looking for news and, alone, what gathers by the clock. */
  readonly statements: number;
  /** Rows that they return or change. */
  readonly rows: number;
  /** Kilobytes that Node allocates; not for a lone order, or on a machine so slow that the pollers' show among them. */
  readonly allocatedKb?: number;
}

/** What one order costs. */
export interface Cost extends Budget {
  /** Of its statements and of the log that they write, how many belong to each database. */
  readonly byDatabase: Readonly<Record<string, Share>>;
}

export interface Share {
  readonly statements: number;
  readonly walBytes: number;
}

export const COUNTS = [
  "statements",
  "commits",
  "rows",
  "inserts",
  "updates",
  "deletes",
  "rowLocks",
  "indexEntries",
  "walBytes",
  "allocatedKb",
] as const;
export type Count = (typeof COUNTS)[number];

/** Parts by which a count may differ from its budget; the rest depends on how batches form, and is only shown. */
type Tolerances = Partial<Record<Count, number>>;
const LONE: Tolerances = { statements: 0.02, commits: 0.03, inserts: 0.01, indexEntries: 0.02 };
const TOGETHER: Tolerances = {
  // How large batches get depends on how requests trickle in: this finds what is no longer sent once for many of them.
  statements: 4,
  commits: 4,
  inserts: 0.01,
  updates: 0.15,
  indexEntries: 0.03,
  walBytes: 0.02,
  allocatedKb: 0.15,
};
/** A budget so far above the cost guards nothing; told of what idling pollers have no part in. */
const SLACK_MAX = 0.1;
const EXACT: readonly Count[] = ["inserts", "indexEntries", "walBytes"];

/** What is dearer than its budget, or so much cheaper that the budget should follow; in words. */
export function overBudget(costs: readonly Cost[], budget: readonly Budget[]): string[] {
  return costs.flatMap((cost) => {
    const name = costName(cost);
    const allowed = budget.find((one) => costName(one) === name);
    if (allowed === undefined) return [`${name}: has no budget`];
    return Object.entries(cost.together === 1 ? LONE : TOGETHER).flatMap(([key, tolerance]) => {
      const count = key as Count;
      const [is, may] = [cost[count], allowed[count]];
      if (is === undefined || may === undefined) return [];
      const figures = `${round(is)} ${count} an order, the budget is ${round(may)}`;
      if (is > may * (1 + tolerance)) return [`${name}: ${figures}`];
      return EXACT.includes(count) && is < may * (1 - SLACK_MAX)
        ? [`${name}: only ${figures}: lower it (--accept)`]
        : [];
    });
  });
}

export function costName({ flow, together }: Budget): string {
  return `${flow} ${together === 1 ? "alone" : `${together} at once`}`;
}

export function round(value: number): number {
  return Number(value.toPrecision(4));
}
