import { crossAudit } from "./audit-across.ts";
import { moneyAudit } from "./audit-money.ts";
import type { Sql, SystemDatabase } from "./system.ts";
import { until } from "./until.ts";

/**
 * What has to hold of a system at rest, whatever was done to it: read from the databases alone, by rules that are
 * written down here once more and share no code with the services.
 */

interface Check {
  readonly name: string;
  readonly database: SystemDatabase;
  /** Answers a row for each violation. */
  readonly text: string;
}

const withOutbox = ["order", "product", "payment", "saga"] as const;

const stock: readonly Check[] = [
  {
    name: "stock: initial + adjustments = available + reserved + sold, nothing negative",
    database: "product",
    text: `select p.sku, p.available, p.reserved, p.sold, coalesce(sum(a.delta), 0) as owned
           from products p left join stock_adjustments a on a.product_id = p.id
           group by p.id
           having coalesce(sum(a.delta), 0) <> p.available + p.reserved + p.sold
               or least(p.available, p.reserved, p.sold) < 0`,
  },
  {
    name: "stock: reserved and sold are what the reservations' lines say",
    database: "product",
    text: `select p.sku, p.reserved, p.sold, coalesce(l.held, 0) as held, coalesce(l.confirmed, 0) as confirmed
           from products p left join (
             select product_id, sum(quantity) filter (where status in ('RESERVED', 'HELD')) as held,
                    sum(quantity) filter (where status = 'CONFIRMED') as confirmed
             from stock_reservations group by product_id
           ) l on l.product_id = p.id
           where p.reserved <> coalesce(l.held, 0) or p.sold <> coalesce(l.confirmed, 0)`,
  },
  {
    name: "stock: a reservation is of one piece, all of its lines or none",
    database: "product",
    text: `select order_id, h.status as head, array_agg(l.status) as lines
           from order_reservations h full join stock_reservations l using (order_id)
           group by order_id, h.status
           having h.status is null
               or (h.status in ('RESERVED', 'HELD', 'CONFIRMED')
                   and coalesce(bool_or(l.status is distinct from h.status), true))
               or (h.status = 'REFUSED' and bool_or(l.status is not null))
               or (h.status in ('RELEASED', 'EXPIRED') and bool_or(l.status in ('RESERVED', 'HELD', 'CONFIRMED')))`,
  },
];

/** From where to where an order may go in one move. */
const moves = [
  ["draft", "created"],
  ["draft", "cancelled"],
  ["draft", "cancelling"],
  ["created", "paying"],
  ["created", "cancelling"],
  ["created", "cancelled"],
  ["paying", "paid"],
  ["paying", "created"],
  ["paid", "shipping"],
  ["paid", "cancelling"],
  ["shipping", "completed"],
  ["cancelling", "cancelled"],
].map(([from, to]) => `('${from}', '${to}')`);

const orders: readonly Check[] = [
  {
    name: "orders: each history begins with the draft, goes legal ways, and ends where the order is",
    database: "order",
    text: `select o.id, o.status, o.version, h.path
           from orders o left join (
             select order_id, array_agg(status order by version) as path, array_agg(version order by version) as versions,
                    bool_and(legal) as legal
             from (
               select order_id, version, status, case when version = 1 then status = 'draft' else
                        (lag(status) over w, status) in (${moves.join(", ")}) end as legal
               from order_status_history window w as (partition by order_id order by version)
             ) step group by order_id
           ) h on h.order_id = o.id
           where h.legal is not true or h.path[cardinality(h.path)] <> o.status or cardinality(h.path) <> o.version
              or h.versions <> array(select generate_series(1, o.version))`,
  },
  {
    name: "orders: no history and no line without its order",
    database: "order",
    text: `select order_id from order_status_history where order_id not in (select id from orders)
           union select order_id from order_items where order_id not in (select id from orders)`,
  },
  {
    name: "orders: the total is the sum of the lines",
    database: "order",
    text: `select o.id, o.total_minor from orders o left join order_items i on i.order_id = o.id
           group by o.id having o.total_minor is distinct from sum(i.quantity * i.price_minor)`,
  },
  {
    name: "orders: each move was told by its event, and each event tells of a move",
    database: "order",
    text: `select o.id, h.told, e.events
           from orders o
           left join (
             select order_id, array_agg('ORDER_' || case status when 'draft' then 'CREATED' when 'created' then 'CONFIRMED'
                      when 'cancelling' then 'CANCELLATION_REQUESTED' else upper(status) end order by version) as told
             from (select *, lag(status) over (partition by order_id order by version) as before
                   from order_status_history) step
             -- Paying, and back from it, is nobody else's business; nor is shipping.
             where status not in ('paying', 'shipping') and before is distinct from 'paying' or status = 'paid'
             group by order_id
           ) h on h.order_id = o.id
           full join (
             select aggregate_id, array_agg(event_type order by aggregate_version) as events
             from outbox_events where aggregate_type = 'order' group by aggregate_id
           ) e on e.aggregate_id = o.id
           where h.told is distinct from e.events`,
  },
];

const sagas: readonly Check[] = [
  {
    name: "sagas: none is unfinished",
    database: "saga",
    text: `select id, saga_type, state, current_step, wake_at from saga_instances
           where wake_at is not null or state not in ('COMPLETED', 'COMPENSATED')`,
  },
  {
    name: "sagas: one creates each order, each begun under its own Idempotency-Key",
    database: "saga",
    text: `select coalesce(s.id, r.saga_id) as saga, count(*) as records
           from (select * from saga_instances where saga_type = 'CREATE_ORDER') s full join (
             select (response_data->>'sagaId')::uuid as saga_id, (response_data->>'orderId')::uuid as order_id
             from idempotency_records where response_data->>'sagaId' is not null and response_data->>'orderId' is not null
           ) r on r.saga_id = s.id and r.order_id = s.business_key
           group by 1 having count(*) <> 1 or count(s.id) <> 1 or count(r.saga_id) <> 1
           union all
           select business_key, count(*) from saga_instances where saga_type = 'CREATE_ORDER'
           group by business_key having count(*) > 1`,
  },
];

const messaging: readonly Check[] = withOutbox.flatMap((database): Check[] => [
  {
    name: `outbox of ${database}: every event has reached the bus`,
    database,
    text: `select e.event_type, e.aggregate_id, d.status, d.error_message
           from outbox_events e left join outbox_delivery d using (position)
           where d.status is distinct from 'PUBLISHED'
           union all select 'blocked', aggregate_id, null, null from outbox_blocked`,
  },
  {
    name: `outbox of ${database}: the versions of each aggregate are 1..n`,
    database,
    text: `select aggregate_id, array_agg(aggregate_version order by position) as versions
           from outbox_events group by aggregate_id
           having array_agg(aggregate_version order by position) <> array(select generate_series(1, count(position)::int))`,
  },
]);

const inboxes: readonly Check[] = (["product", "payment", "saga"] as const).flatMap((database): Check[] => [
  {
    name: `inbox of ${database}: each event is recorded once, and each place on the bus once`,
    database,
    text: `select consumer_group, array_agg(distinct event_id) as events, topic, partition, "offset"
           from processed_events group by consumer_group, topic, partition, "offset" having count(*) > 1
           union all
           select consumer_group, array[event_id], null, null, null
           from processed_events group by consumer_group, event_id having count(*) > 1`,
  },
  {
    name: `inbox of ${database}: each message put aside is a dead letter with its reason`,
    database,
    text: `select p.event_id, p.topic, p.partition, p."offset" from processed_events p
           where p.result = 'DEAD_LETTERED' and not exists (
             select from outbox_events e where e.event_type = 'DEAD_LETTER'
               and e.headers->>'causation-id' = p.event_id::text
               and e.payload->'data'->'error'->>'message' <> ''
               and e.payload->'data'->>'topic' = p.topic
               and (e.payload->'data'->>'partition')::int = p.partition
               and (e.payload->'data'->>'offset')::bigint = p."offset"
               and (e.payload->'data'->>'attempts')::int >= 1)`,
  },
]);

const checks = [...stock, ...orders, ...sagas, ...messaging, ...inboxes];
/** Violations shown of each rule: enough to see what it is about. */
const shownMax = 5;

export interface AuditOptions {
  /** How long the system may take to come to rest. */
  readonly restMs?: number;
}

/** Waits until the system is at rest, and answers what is wrong with it then: nothing, in a healthy one. */
export async function auditSystem(sql: Sql, { restMs = 60_000 }: AuditOptions = {}): Promise<string[]> {
  // One that does not come to rest is audited all the same: what it still does is what the rules then name.
  const restless = await atRest(sql, restMs).then(
    () => [],
    (error: Error) => [error.message],
  );
  const found = await Promise.all(checks.map((check) => violations(sql, check)));
  return [...restless, ...found.flat(), ...(await crossAudit(sql)), ...(await moneyAudit(sql))];
}

async function violations(sql: Sql, { name, database, text }: Check): Promise<string[]> {
  const rows = await sql(database, text);
  if (rows.length === 0) return [];
  const shown = rows.slice(0, shownMax).map((row) => JSON.stringify(row));
  return [`${name}: ${rows.length} violations: ${shown.join("; ")}`];
}

/** Waits until nothing is under way any more. */
export async function atRest(sql: Sql, timeoutMs = 60_000): Promise<void> {
  await until("the system is at rest", () => isAtRest(sql), { timeoutMs });
}

const busy = [
  ["saga", "select count(*)::int as count from saga_instances where wake_at is not null"],
  ["saga", "select count(*)::int as count from tcc_transactions where wake_at is not null"],
  ["payment", "select count(*)::int as count from payment_attempts where next_at is not null"],
] as const;

/** Nothing waits to be published or asked, no saga or transaction runs, and every message has reached whom it is for. */
async function isAtRest(sql: Sql): Promise<boolean> {
  for (const [database, text] of busy) {
    const [active] = await sql<{ count: number }>(database, text);
    if (active?.count !== 0) return false;
  }
  for (const database of withOutbox) {
    const [waiting] = await sql<{ count: number }>(
      database,
      "select count(*)::int as count from outbox_delivery where status = 'PENDING'",
    );
    if (waiting?.count !== 0) return false;
  }
  return (await undelivered(sql)).length === 0;
}

/** Events that were published for a service and are not in its inbox. */
async function undelivered(sql: Sql): Promise<string[]> {
  const routes = [
    ["saga", "product", "product-service-group", ["RESERVE_STOCK", "RELEASE_STOCK"]],
    ["saga", "payment", "payment-service-group", ["REFUND_PAYMENT"]],
    ["payment", "saga", "saga-service-group", ["PAYMENT_REFUNDED"]],
    [
      "product",
      "saga",
      "saga-service-group",
      ["STOCK_RESERVED", "STOCK_RESERVATION_FAILED", "STOCK_RELEASED"],
    ],
    ["product", "order", "order-service-group", ["STOCK_RELEASED"]],
  ] as const;
  const found = await Promise.all(
    routes.map(async ([from, to, group, types]) => {
      const sent = await sql<{ id: string }>(
        from,
        "select id from outbox_events where event_type = any($1)",
        [types],
      );
      const received = await sql<{ id: string }>(
        to,
        "select event_id as id from processed_events where consumer_group = $1",
        [group],
      );
      const known = new Set(received.map(({ id }) => id));
      return sent.filter(({ id }) => !known.has(id)).map(({ id }) => `${from} to ${to}: ${id}`);
    }),
  );
  return found.flat();
}
