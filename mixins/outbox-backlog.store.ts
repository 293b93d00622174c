import type { Database } from "../lib/database.ts";
import { statement } from "../lib/statement.ts";

export interface Backlog {
  /** Counted up to 100,000. */
  readonly events: number;
  /** Age of the oldest of them; 0 when there is none. */
  readonly lagSeconds: number;
}

const BACKLOG = statement(
  "outbox_backlog",
  `with oldest as (select position from outbox_delivery where status = 'PENDING' order by position limit 1)
   select (select count(*)::int from (select 1 from outbox_delivery where status = 'PENDING' limit 100000) pending) as events,
          coalesce((select greatest(extract(epoch from now() - created_at), 0) from outbox_events
                    where position = (select position from oldest)), 0)::float8 as "lagSeconds"`,
);

/** What is committed and not yet on the bus. */
export async function backlogOf(database: Database): Promise<Backlog> {
  const [row] = await database.query<Backlog>(BACKLOG);
  return row ?? { events: 0, lagSeconds: 0 };
}

const REFUSED = statement(
  "outbox_refused_count",
  "select count(*)::int as refused from outbox_delivery where status = 'FAILED'",
);

/** How many events the bus has refused. */
export async function refusedCount(database: Database): Promise<number> {
  const [row] = await database.query<{ refused: number }>(REFUSED);
  return row?.refused ?? 0;
}
