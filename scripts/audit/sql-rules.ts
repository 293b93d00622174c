import type { DatabaseName } from "../../lib/settings.ts";
import type { Findings, Invariant } from "./findings.ts";
import type { World } from "./world.ts";

/**
 * A rule that one database can answer for itself. It holds of every committed state, so one look is enough: what it
 * finds is no matter of timing.
 */
export interface SqlRule {
  readonly invariant: Invariant;
  readonly database: DatabaseName;
  readonly needs: readonly string[];
  /** Answers `subject` and `problem` of each violation. `$1` is the moment before which something is late. */
  readonly text: string;
}

/** How much of something there was to look at. */
export interface Count {
  readonly invariant: Invariant;
  readonly database: DatabaseName;
  readonly table: string;
  readonly what: string;
  readonly where?: string;
}

interface Found {
  subject: string;
  problem: string;
}

/** Databases side by side, the rules of each one after the other. */
export async function checkRules(
  world: World,
  findings: Findings,
  rules: readonly SqlRule[],
  counts: readonly Count[],
): Promise<void> {
  // In their order from the start, whichever database answers first.
  for (const { invariant, database, table, what } of counts)
    if (world.snapshots[database].tables.has(table)) findings.looked(invariant, what, 0);
  await Promise.all(
    Object.values(world.snapshots).map(async ({ name }) => {
      for (const rule of rules) if (rule.database === name) await checkRule(world, findings, rule);
      for (const count of counts) if (count.database === name) await takeCount(world, findings, count);
    }),
  );
}

async function checkRule(world: World, findings: Findings, rule: SqlRule): Promise<void> {
  const { invariant, database, needs, text } = rule;
  const { tables, query } = world.snapshots[database];
  const missing = needs.filter((table) => !tables.has(table));
  if (missing.length > 0) return findings.notThere(invariant, missing);
  const values = text.includes("$1") ? [world.late(database)] : [];
  for (const { subject, problem } of await query<Found>(text, values))
    findings.violations.push({ invariant, subject, problem });
}

async function takeCount(world: World, findings: Findings, count: Count): Promise<void> {
  const { invariant, database, table, what, where = "true" } = count;
  const { tables, query } = world.snapshots[database];
  if (!tables.has(table)) return;
  const [row] = await query<{ rows: number }>(`select count(*)::float8 as rows from ${table} where ${where}`);
  findings.looked(invariant, what, row?.rows ?? 0);
}
