import type { Count, SqlRule } from "./sql-rules.ts";

/** I9: within the order database. */

/** From where to where an order may go in one move; the first entry is always the draft. */
const MOVES = [
  ["draft", "created"],
  ["draft", "cancelling"],
  ["draft", "cancelled"],
  ["created", "paying"],
  ["created", "cancelling"],
  ["created", "cancelled"],
  ["paying", "paid"],
  ["paying", "created"],
  ["paid", "shipping"],
  ["paid", "cancelling"],
  ["shipping", "completed"],
  ["cancelling", "cancelled"],
]
  .map(([from, to]) => `('${from}', '${to}')`)
  .join(", ");

const PATHS = `
  with step as (
    select order_id, version, status,
           case when lag(status) over w is null then version = 1 and status = 'draft'
                else version = lag(version) over w + 1 and (lag(status) over w, status) in (${MOVES}) end as legal
    from order_status_history window w as (partition by order_id order by version)
  ), wrong as (select distinct order_id from step where not legal)
  select 'order ' || order_id as subject,
         format('its history is %s', string_agg(version || ' ' || status, ', ' order by version)) as problem
  from step where order_id in (select order_id from wrong) group by order_id`;

const ENDS = `
  with last as (
    select distinct on (order_id) order_id, version, status from order_status_history order by order_id, version desc
  )
  select 'order ' || coalesce(o.id, l.order_id) as subject,
         case when o.id is null then 'has a history and does not exist'
              when l.order_id is null then 'has no history'
              else format('is %s in version %s, its history ends with %s in version %s',
                          o.status, o.version, l.status, l.version) end as problem
  from orders o full join last l on l.order_id = o.id
  where o.id is null or l.order_id is null or l.status <> o.status or l.version <> o.version`;

const TOTALS = `
  with lines as (
    select order_id, sum(quantity * price_minor) as total from order_items group by order_id
  )
  select 'order ' || coalesce(o.id, l.order_id) as subject,
         case when o.id is null then 'has lines and does not exist'
              when l.order_id is null then 'has no lines'
              else format('its total is %s, its lines say %s', o.total_minor, l.total) end as problem
  from orders o full join lines l on l.order_id = o.id
  where o.id is null or l.order_id is null or l.total <> o.total_minor`;

export const HISTORY_RULES: readonly SqlRule[] = [
  { invariant: "I9", database: "order", needs: ["order_status_history"], text: PATHS },
  { invariant: "I9", database: "order", needs: ["orders", "order_status_history"], text: ENDS },
  { invariant: "I9", database: "order", needs: ["orders", "order_items"], text: TOTALS },
];

export const HISTORY_COUNTS: readonly Count[] = [
  { invariant: "I9", database: "order", table: "orders", what: "orders" },
  { invariant: "I9", database: "order", table: "order_status_history", what: "steps" },
  { invariant: "I9", database: "order", table: "order_items", what: "lines" },
];
