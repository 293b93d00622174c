import type { OrderMove } from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** An order, and the number of the last of its moves that is known already; 0: none is. */
export interface Followed {
  readonly orderId: string;
  readonly after: number;
}

interface MoveRow {
  id: string;
  version: number;
  status: OrderMove["status"];
  code: string | null;
  message: string | null;
  at: Date;
}

const MOVES = statement(
  "order_moves",
  `select h.order_id as id, h.version, h.status, h.reason_code as code, h.reason as message, h.at
   from unnest($1::uuid[], $2::int[]) as t(id, after)
   join order_status_history h on h.order_id = t.id and h.version > t.after
   order by h.order_id, h.version`,
);

/** What has become of orders since, each in the order in which it happened. */
export async function movesSince(database: Database, orders: readonly Followed[]): Promise<OrderMove[]> {
  const rows = await database.query<MoveRow>(MOVES, [
    orders.map(({ orderId }) => orderId),
    orders.map(({ after }) => after),
  ]);
  return rows.map(({ id, version, status, code, message, at }) => ({
    orderId: id,
    version,
    status,
    at: at.toISOString(),
    ...(code !== null && { reason: { code, message: message ?? "" } }),
  }));
}
