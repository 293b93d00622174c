import type {
  OrderBill,
  OrderStatus,
  OrderView,
  PricedLine,
  ShippingAddress,
  TimelineEntry,
} from "../../lib/contracts.ts";
import type { Database } from "../../lib/database.ts";
import type { Ciphertext } from "../../lib/personal-data/personal-data.ts";
import { statement } from "../../lib/statement.ts";

/** What an order looks like from outside, read in one statement for many. */

export interface OrderLookup {
  readonly orderId: string;
  /** Set: only an order of this customer exists. */
  readonly customerId?: string;
}

interface ViewRow {
  id: string;
  customer_id: string;
  saga_id: string;
  status: OrderStatus;
  reason_code: string | null;
  reason_message: string | null;
  total_minor: number;
  currency: string;
  shipping_address: Ciphertext | ShippingAddress | null;
  created_at: Date;
  updated_at: Date;
  items: PricedLine[] | null;
  timeline: { status: OrderStatus; at: string; code: string | null; message: string | null }[] | null;
}

const VIEW = statement(
  "order_view",
  `select o.id, o.customer_id, o.saga_id, o.status, o.reason_code, o.reason_message, o.total_minor, o.currency,
          o.shipping_address, o.created_at, o.updated_at,
          (select json_agg(json_build_object('productId', i.product_id, 'sku', i.sku, 'quantity', i.quantity,
                                             'priceMinor', i.price_minor) order by i.line)
           from order_items i where i.order_id = o.id) as items,
          (select json_agg(json_build_object('status', h.status, 'at', h.at, 'code', h.reason_code,
                                             'message', h.reason) order by h.version)
           from order_status_history h where h.order_id = o.id) as timeline
   from unnest($1::uuid[], $2::uuid[]) as t(id, viewer)
   join orders o on o.id = t.id and (t.viewer is null or o.customer_id = t.viewer)`,
);

/** Orders as their viewers may see them, in the order asked; undefined where there is none for the viewer. */
export async function findOrders(
  database: Database,
  lookups: readonly OrderLookup[],
): Promise<(OrderView | undefined)[]> {
  const rows = await database.query<ViewRow>(VIEW, [
    lookups.map(({ orderId }) => orderId),
    lookups.map(({ customerId }) => customerId ?? null),
  ]);
  const views = new Map(rows.map((row) => [row.id, fromRow(row)]));
  return lookups.map(({ orderId, customerId }) => {
    const view = views.get(orderId);
    return customerId === undefined || view?.customerId === customerId ? view : undefined;
  });
}

const BILL = statement(
  "order_bill",
  "select id, customer_id, status, total_minor, currency from orders where id = any($1)",
);

/** What there is to pay, without lines and timeline: 40 us less an order than the whole view. */
export async function findBills(
  database: Database,
  lookups: readonly OrderLookup[],
): Promise<(OrderBill | undefined)[]> {
  const rows = await database.query<
    Pick<ViewRow, "id" | "customer_id" | "status" | "total_minor" | "currency">
  >(BILL, [lookups.map(({ orderId }) => orderId)]);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return lookups.map(({ orderId, customerId }) => {
    const row = byId.get(orderId);
    if (!row || (customerId !== undefined && row.customer_id !== customerId)) return undefined;
    const { status, total_minor: totalMinor, currency } = row;
    return { orderId, customerId: row.customer_id, status, totalMinor, currency };
  });
}

function fromRow(row: ViewRow): OrderView {
  return {
    orderId: row.id,
    customerId: row.customer_id,
    status: row.status,
    ...reasonOf(row.reason_code, row.reason_message),
    items: row.items ?? [],
    totalMinor: row.total_minor,
    currency: row.currency,
    ...(row.shipping_address && { shippingAddress: row.shipping_address }),
    timeline: (row.timeline ?? []).map(
      ({ status, at, code, message }): TimelineEntry => ({
        status,
        at: new Date(at).toISOString(),
        ...reasonOf(code, message),
      }),
    ),
    sagaId: row.saga_id,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

function reasonOf(code: string | null, message: string | null) {
  return code === null ? {} : { reason: { code, message: message ?? "" } };
}
