import { type Findings, INVARIANT_IDS, INVARIANTS, type Invariant, type Violation } from "./findings.ts";
import type { World } from "./world.ts";

export interface Report {
  /** "live", or the moment of the last sign of life of a stopped system. */
  readonly system: { readonly live: boolean; readonly asOf: string; readonly bus: string };
  readonly seconds: number;
  /** How often it was looked at until what databases disagreed about had settled. */
  readonly looks: number;
  readonly clean: boolean;
  readonly violations: number;
  readonly unchecked: number;
  readonly invariants: readonly InvariantReport[];
}

export interface InvariantReport {
  readonly id: Invariant;
  readonly says: string;
  /** How much of what was looked at. */
  readonly looked: Readonly<Record<string, number>>;
  /** What could not be looked at, because retention has deleted it. */
  readonly gone: readonly { readonly what: string; readonly rows: number; readonly before: string }[];
  /** Tables that this system does not have. */
  readonly notThere: readonly string[];
  /** Why it, or a part of it, could not be checked. */
  readonly unchecked?: string;
  readonly violations: readonly { readonly subject: string; readonly problem: string }[];
}

export function reportOf(
  { live, asOf, bus }: World,
  findings: Findings,
  { settled, looks, seconds }: { settled: readonly Violation[]; looks: number; seconds: number },
): Report {
  const found = [...findings.violations, ...settled];
  const invariants = INVARIANT_IDS.map((id) => ({
    id,
    says: INVARIANTS[id],
    looked: Object.fromEntries(findings.lookedAt(id)),
    gone: findings.goneOf(id).map((gone) => ({ ...gone, before: gone.before.toISOString() })),
    notThere: findings.tablesNotThere(id),
    unchecked: findings.whyUnchecked(id),
    violations: found
      .filter(({ invariant }) => invariant === id)
      .map(({ subject, problem }) => ({ subject, problem })),
  }));
  return {
    system: { live, asOf: asOf.toISOString(), bus: bus?.kind ?? "unreadable" },
    seconds: Math.round(seconds * 100) / 100,
    looks,
    clean: found.length === 0,
    violations: found.length,
    unchecked: invariants.filter(({ unchecked }) => unchecked !== undefined).length,
    invariants,
  };
}

/** 0 clean, 1 violations, 2 could not check all of it. */
export function exitCodeOf({ violations, unchecked, invariants }: Report): 0 | 1 | 2 {
  if (violations > 0) return 1;
  return unchecked > 0 || invariants.every(isBlind) ? 2 : 0;
}

/** None of its tables is there: this is no database of ours. */
const isBlind = ({ looked }: InvariantReport) => Object.keys(looked).length === 0;

const SHOWN_MAX = 20;

/** A line for each invariant, and below it what violates it. */
export function reportLines(report: Report): string[] {
  const { live, asOf, bus } = report.system;
  const state = live ? "a live system" : `a system that was last written to at ${asOf}`;
  const busName = { postgres: "PostgreSQL bus", kafka: "Kafka" }[bus] ?? "its bus cannot be read";
  return [`audit of ${state} (${busName})`, ...report.invariants.flatMap(invariantLines), lastLine(report)];
}

function invariantLines({
  id,
  says,
  looked,
  gone,
  notThere,
  unchecked,
  violations,
}: InvariantReport): string[] {
  const facts = [
    ...Object.entries(looked).map(([what, count]) => `${count.toLocaleString("en-US")} ${what}`),
    ...gone.map(
      ({ what, rows, before }) => `${rows.toLocaleString("en-US")} ${what} of before ${before} deleted`,
    ),
    ...(notThere.length > 0 ? [`not there: ${notThere.join(" and ")}`] : []),
    ...(unchecked === undefined ? [] : [`NOT CHECKED: ${unchecked}`]),
    `${violations.length.toLocaleString("en-US")} violations`,
  ];
  const shown = violations.slice(0, SHOWN_MAX).map(({ subject, problem }) => `      ${subject}: ${problem}`);
  const more = violations.length - shown.length;
  return [
    `${id.padEnd(3)} ${says} … ${facts.join(", ")}`,
    ...shown,
    ...(more > 0 ? [`      and ${more.toLocaleString("en-US")} more`] : []),
  ];
}

function lastLine(report: Report): string {
  const time = `${report.seconds.toFixed(1)} s`;
  if (report.violations > 0)
    return `audit: ${report.violations.toLocaleString("en-US")} violations (${time})`;
  if (exitCodeOf(report) === 2) return `audit: could not check all of it (${time})`;
  return `audit: clean (${time})`;
}
