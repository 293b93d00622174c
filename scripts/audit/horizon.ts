import type { Findings, Invariant } from "./findings.ts";
import type { World } from "./world.ts";

/** What retention has taken from a table: it can neither be looked at nor be missed. */
export interface Gone {
  readonly rows: number;
  /** Of the rows whose time began before this, some are gone. */
  readonly before: Date;
}

export const GONE = `
  select table_name as "table", rows_gone::float8 as rows, gone_before as before
  from retention where rows_gone > 0`;

/** Puts the horizons where the rules of this transaction find them. */
export const TELL_GONE = `
  select set_config('audit.gone_' || table_name, gone_before::text, true) from retention where rows_gone > 0`;

/** SQL: since when a table of this database still has everything; minus infinity when it has. */
export const goneBefore = (table: string) =>
  `(select coalesce(nullif(current_setting('audit.gone_${table}', true), '')::timestamptz, '-infinity'))`;

/** By table: which invariants would have looked at its rows, and what they are. */
const MEANING: Readonly<Record<string, readonly [what: string, ...invariants: readonly Invariant[]]>> = {
  outbox_delivery: ["events", "I7", "I10"],
  processed_events: ["inbox rows", "I8", "I10"],
  idempotency_records: ["answers", "I6"],
  saga_instances: ["sagas", "I4", "I6"],
  tcc_transactions: ["transactions", "I4", "I5"],
};

/** Says of each invariant what it could not look at. */
export async function tellGone({ snapshots }: World, findings: Findings): Promise<void> {
  for (const { gone } of Object.values(snapshots)) {
    for (const [table, { rows, before }] of gone) {
      const [what, ...invariants] = MEANING[table] ?? [table];
      for (const invariant of invariants) findings.gone(invariant, what, rows, before);
    }
  }
}
