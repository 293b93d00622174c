import type { Database } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

export interface StaleDraft {
  readonly orderId: string;
  readonly sagaId: string;
}

// Its id tells when an order was asked for: a row may come much later, by a call that was held up.
// An index of drafts would cost every order a write and its updates their place: few orders are ever found here. Ids
// are UUIDv7, in the order of time, so old orders are read along the primary key, a step at a time.
const STEP = statement(
  "order_stale_drafts",
  `select id as "orderId", saga_id as "sagaId",
          status = 'draft' as stale
   from orders
   where id > $1
     and id < (lpad(to_hex((extract(epoch from now() - $2 * interval '1 minute') * 1000)::bigint), 12, '0')
               || '70008000000000000000')::uuid
   order by id limit $3`,
);

/** Drafts that were asked for so long ago, among the next orders after an id, and the last id that was looked at. */
export async function staleDraftsAfter(
  database: Database,
  after: string,
  minutes: number,
  limit: number,
): Promise<{ drafts: readonly StaleDraft[]; last: string; full: boolean }> {
  const rows = await database.query<StaleDraft & { stale: boolean }>(STEP, [after, minutes, limit]);
  const drafts = rows.flatMap(({ orderId, sagaId, stale }) => (stale ? [{ orderId, sagaId }] : []));
  return { drafts, last: rows.at(-1)?.orderId ?? after, full: rows.length === limit };
}
