import { setTimeout as wait } from "node:timers/promises";
import { type Database, withTransaction } from "../lib/database.ts";
import type { Statement } from "../lib/statement.ts";
import {
  claimTable,
  deleteOld,
  noteStep,
  pagesOf,
  type RetentionRule,
  releaseTable,
  walkStatement,
} from "./retention.store.ts";

/** A rule with the age that its rows may reach. */
export interface AgedRule extends RetentionRule {
  /** Infinity: for ever. */
  readonly keptMs: () => number | Promise<number>;
}

export interface WalkOptions {
  readonly database: Database;
  /** Unique among all nodes. */
  readonly owner: string;
  /** How long after a walk the next one is due. */
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly onGone?: (table: string, rows: number) => void;
  readonly pagesPerStep?: number;
  readonly rowsPerStep?: number;
  readonly pauseMs?: number;
}

/** A step without anything to delete reads 512 KiB, and lasts about a millisecond. */
const PAGES_PER_STEP = 64;
/** Deleted in about 5 ms; whoever needs one of these rows waits no longer. */
const ROWS_PER_STEP = 500;
/** Between two steps, for everybody else: 5,000 rows and 5 MiB a second at most. */
const PAUSE_MS = 100;
/** Renewed by each step: a node that died holds a table up for so long. */
const LEASE_MS = 60_000;

/**
 * Walks once through the pages of a table and deletes what is past its time, in short transactions with pauses between
 * them. Answers how many rows went; undefined when it is not due, or another node is at it.
 */
export async function walkTable(rule: AgedRule, options: WalkOptions): Promise<number | undefined> {
  const { database, owner, intervalMs, signal } = options;
  if (!(await claimTable(database, rule.table, owner, LEASE_MS))) return undefined;
  // Stopped half way or failed: the next node need not wait for the interval.
  let dueInMs = 0;
  try {
    const gone = await walk(rule, options);
    if (!signal.aborted) dueInMs = intervalMs;
    return gone;
  } finally {
    await releaseTable(database, rule.table, owner, dueInMs);
  }
}

async function walk(rule: AgedRule, options: WalkOptions): Promise<number> {
  const { database, signal, pagesPerStep = PAGES_PER_STEP, rowsPerStep = ROWS_PER_STEP } = options;
  const keptMs = await rule.keptMs();
  if (!Number.isFinite(keptMs)) return 0;
  const statement = walkStatement(rule);
  const pages = await pagesOf(database, rule.table);
  let total = 0;
  for (let from = 0; from < pages && !signal.aborted; ) {
    const to = Math.min(pages, from + pagesPerStep);
    const { gone, mine } = await step(rule, statement, { from, to, keptMs, rowsPerStep }, options);
    total += gone;
    if (gone > 0) options.onGone?.(rule.table, gone);
    if (!mine) break;
    if (gone < rowsPerStep) from = to;
    // It rejects when it is aborted, and for nothing else: the loop sees that.
    if (from < pages) await wait(options.pauseMs ?? PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
  return total;
}

function step(
  { table }: AgedRule,
  statement: Statement,
  { keptMs, rowsPerStep, ...pages }: { from: number; to: number; keptMs: number; rowsPerStep: number },
  { database, owner }: WalkOptions,
): Promise<{ gone: number; mine: boolean }> {
  return withTransaction(database, async (tx) => {
    const gone = await deleteOld(tx, statement, pages, keptMs, rowsPerStep);
    const mine = await noteStep(tx, table, owner, { gone, keptMs, leaseMs: LEASE_MS });
    return { gone, mine };
  });
}
