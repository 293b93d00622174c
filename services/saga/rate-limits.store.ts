import type { RateSpending } from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of the allowances that all gateways share. */

// A time instead of an amount: it works itself off, and knows nothing of the limits that the gateways have set.
const SETTLE = statement(
  "rate_limits_settle",
  `insert into rate_limits as r (key, settled_at)
   select key, now() + sum(seconds) * interval '1 second'
   from unnest($1::text[], $2::float8[]) as t(key, seconds)
   group by key order by key
   on conflict (key) do update set settled_at = greatest(r.settled_at, now()) + (excluded.settled_at - now())
   returning key, extract(epoch from settled_at - now())::float8 as owed`,
);

/** Books what was used; answers what each key owes now, in seconds of its allowance, in the order asked. */
export async function settleRates(database: Database, spent: readonly RateSpending[]): Promise<number[]> {
  const rows = await database.query<{ key: string; owed: number }>(SETTLE, [
    spent.map(({ key }) => key),
    spent.map(({ seconds }) => seconds),
  ]);
  const owed = new Map(rows.map((row) => [row.key, row.owed]));
  return spent.map(({ key }) => owed.get(key) ?? 0);
}

const FORGET = statement(
  "rate_limits_forget",
  `delete from rate_limits where key = any(array(
     select key from rate_limits where settled_at < now() limit $1 for update skip locked))
   returning 1 as gone`,
);

/** Deletes up to `limit` accounts that owe nothing; answers how many. */
export async function forgetRates(database: Database, limit: number): Promise<number> {
  return (await database.query(FORGET, [limit])).length;
}
