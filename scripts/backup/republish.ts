import type { Database } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of publishing again. */

const ALIVE = statement(
  "republish_alive",
  "select count(*)::int as relays from outbox_relays where seen_until > now()",
);
const MARK = statement(
  "republish_mark",
  `with chosen as (
     select position from outbox_delivery
     where status = 'PUBLISHED' and published_at >= $1 order by position limit $2 for update
   )
   update outbox_delivery d set status = 'PENDING', retry_count = 0, next_attempt_at = null, published_at = null
   from chosen where d.position = chosen.position returning d.position`,
);

/** Of one transaction: with no service running nobody waits for it. */
const EVENTS_MAX = 10_000;

/** Relays that published within their lease: somebody would publish newer events before these. */
export async function relaysAlive(database: Database): Promise<number> {
  const [row] = await database.query<{ relays: number }>(ALIVE);
  return row?.relays ?? 0;
}

/** Marks what was published since then to be published again; answers how many events that are. */
export async function republishable(database: Database, since: Date): Promise<number> {
  let events = 0;
  for (;;) {
    const marked = await database.query(MARK, [since, EVENTS_MAX]);
    events += marked.length;
    if (marked.length < EVENTS_MAX) return events;
  }
}
