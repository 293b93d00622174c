import type { OrderStatus } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/**
 * SQL of cancellations that were refused. A refusal ends its saga, and must therefore hold: the same request may still
 * be on its way from an earlier try, and an order that is being paid may be cancellable again when it comes. So it is
 * remembered in the table of what global transactions have asked here, and leaves it with what else is too old to come.
 */

const BRANCH = "order.cancellation";

// In id order, as every batch of orders is.
const LOCK = statement(
  "order_cancellation_lock",
  "select id from orders where id = any($1) order by id for update",
);
const REFUSED = statement(
  "order_cancellation_refused",
  `select gid, reply from tcc_barriers where gid = any($1) and branch = '${BRANCH}' and op = 'cancel'`,
);
const REFUSE = statement(
  "order_cancellation_refuse",
  `insert into tcc_barriers (gid, branch, op, origin, reply)
   select gid, '${BRANCH}', 'cancel', 'cancel', json_build_object('status', status)
   from unnest($1::uuid[], $2::text[]) as t(gid, status) order by gid
   on conflict do nothing`,
);

interface Refusal {
  readonly sagaId: string;
  /** What the order was then. */
  readonly status: OrderStatus;
}

/** Which of these sagas have been refused before; keeps their orders as they are until the transaction ends. */
export async function lockRefused(
  tx: Tx,
  requests: readonly { readonly orderId: string; readonly sagaId: string }[],
): Promise<ReadonlyMap<string, OrderStatus>> {
  const [, rows] = await Promise.all([
    tx.query(LOCK, [requests.map(({ orderId }) => orderId)]),
    // Sent with the lock and run after it: it sees what whoever held the lock has noted.
    tx.query<{ gid: string; reply: { status: OrderStatus } }>(REFUSED, [
      requests.map(({ sagaId }) => sagaId),
    ]),
  ]);
  return new Map(rows.map(({ gid, reply }) => [gid, reply.status]));
}

/** From now on these sagas are refused. */
export function noteRefused(tx: Tx, refusals: readonly Refusal[]): void {
  if (refusals.length === 0) return;
  tx.send(REFUSE, [refusals.map(({ sagaId }) => sagaId), refusals.map(({ status }) => status)]);
}
