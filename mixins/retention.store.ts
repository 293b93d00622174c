import type { Database, Tx } from "../lib/database.ts";
import { type Statement, statement } from "../lib/statement.ts";

/** SQL of retention: whose turn it is, and one step through the pages of a table. */

/** Which rows of a table may go, and what goes with them. */
export interface RetentionRule {
  /** Its rows are `r` in `when`. */
  readonly table: string;
  /** SQL: this row may go, `cutoff` being the moment before which its time is over. */
  readonly when: (cutoff: string) => string;
  /** Columns that `alongside` needs. */
  readonly keys?: readonly string[];
  /** SQL: deletes what belongs to the rows in `old`. */
  readonly alongside?: string;
}

const CUTOFF = "now() - $3 * interval '1 millisecond'";

/**
 * By pages, not by an index on the time: such an index would cost every insert of the hot path, and this costs one
 * sequential reading of the table now and then. Rows that anybody has locked are left for the next time, so a step
 * waits for nobody; whoever needs one of its rows waits for one short statement.
 */
export function walkStatement({ table, when, keys = [], alongside }: RetentionRule): Statement {
  const columns = ["r.ctid as place", ...keys.map((key) => `r.${key}`)].join(", ");
  return statement(
    `retention_walk_${table}`,
    `with old as (
       select ${columns} from ${table} r
       where r.ctid >= $1::tid and r.ctid < $2::tid and ${when(CUTOFF)}
       limit $4 for update skip locked
     ),${alongside === undefined ? "" : ` alongside as (${alongside}),`}
     gone as (delete from ${table} where ctid = any(array(select place from old)) returning 1)
     select count(*)::int as gone from gone`,
  );
}

/** One step. Answers how many rows of the table went: `rowsMax` means that there may be more on these pages. */
export async function deleteOld(
  tx: Tx,
  walk: Statement,
  pages: { readonly from: number; readonly to: number },
  keptMs: number,
  rowsMax: number,
): Promise<number> {
  const values = [`(${pages.from},0)`, `(${pages.to},0)`, keptMs, rowsMax];
  const [row] = await tx.query<{ gone: number }>(walk, values);
  return row?.gone ?? 0;
}

const PAGES = statement(
  "retention_pages",
  "select pg_relation_size($1::text::regclass) / current_setting('block_size')::int as pages",
);

/** How many pages a table has now; those that come later hold young rows. */
export async function pagesOf(database: Database, table: string): Promise<number> {
  const [row] = await database.query<{ pages: number }>(PAGES, [table]);
  return row?.pages ?? 0;
}

const CLAIM = statement(
  "retention_claim_table",
  `insert into retention as r (table_name, owner, leased_until) values ($1, $2, now() + $3 * interval '1 millisecond')
   on conflict (table_name) do update set owner = excluded.owner, leased_until = excluded.leased_until
   where r.due_at <= now() and r.leased_until <= now()
   returning 1`,
);

/** Takes a table that is due, for one node at a time. */
export async function claimTable(
  database: Database,
  table: string,
  owner: string,
  leaseMs: number,
): Promise<boolean> {
  return (await database.query(CLAIM, [table, owner, leaseMs])).length > 0;
}

const NOTE = statement(
  "retention_note",
  `update retention
   set rows_gone = rows_gone + $3,
       gone_before = case when $3 > 0 then greatest(gone_before, now() - $4 * interval '1 millisecond') else gone_before end,
       leased_until = case when owner = $2 then now() + $5 * interval '1 millisecond' else leased_until end
   where table_name = $1
   returning owner = $2 as mine`,
);

/** Notes a step in its own transaction, and renews the lease. Answers false when the table is another node's by now. */
export async function noteStep(
  tx: Tx,
  table: string,
  owner: string,
  step: { readonly gone: number; readonly keptMs: number; readonly leaseMs: number },
): Promise<boolean> {
  const values = [table, owner, step.gone, step.keptMs, step.leaseMs];
  const [row] = await tx.query<{ mine: boolean | null }>(NOTE, values);
  return row?.mine === true;
}

const RELEASE = statement(
  "retention_release",
  `update retention set owner = null, leased_until = '-infinity', due_at = now() + $3 * interval '1 millisecond'
   where table_name = $1 and owner = $2`,
);

/** Gives the table back until it is due again. */
export async function releaseTable(
  database: Database,
  table: string,
  owner: string,
  dueInMs: number,
): Promise<void> {
  await database.query(RELEASE, [table, owner, dueInMs]);
}
