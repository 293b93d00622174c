import type { Count, SqlRule } from "./sql-rules.ts";

/** I2 and I3, and of I5 that a reservation is of one piece. All of it within the product database. */

const LINES = `
  select product_id,
         coalesce(sum(quantity) filter (where status in ('RESERVED', 'HELD')), 0) as held,
         coalesce(sum(quantity) filter (where status = 'CONFIRMED'), 0) as confirmed
  from stock_reservations group by product_id`;

const ADDS_UP = `
  with owned as (select product_id, sum(delta) as units from stock_adjustments group by product_id),
  lines as (${LINES}),
  compared as (
    select p.id, concat_ws('; ',
      case when p.available + p.reserved + p.sold <> coalesce(o.units, 0)
        then format('%s available + %s reserved + %s sold, its adjustments say %s',
                    p.available, p.reserved, p.sold, coalesce(o.units, 0)) end,
      case when p.reserved <> coalesce(l.held, 0)
        then format('%s reserved, its reservations say %s', p.reserved, coalesce(l.held, 0)) end,
      case when p.sold <> coalesce(l.confirmed, 0)
        then format('%s sold, its reservations say %s', p.sold, coalesce(l.confirmed, 0)) end
    ) as problem
    from products p
    left join owned o on o.product_id = p.id
    left join lines l on l.product_id = p.id
  )
  select 'product ' || id as subject, problem from compared where problem <> ''
  union all
  select 'product ' || product_id, format('%s reserved, %s sold of what does not exist', held, confirmed)
  from lines where product_id not in (select id from products)`;

const OVERSOLD = `
  with owned as (select product_id, sum(delta) as units from stock_adjustments group by product_id),
  lines as (${LINES})
  select 'product ' || p.id as subject,
         format('%s available, %s reserved, %s sold; %s confirmed of %s that were ever in stock',
                p.available, p.reserved, p.sold, coalesce(l.confirmed, 0), coalesce(o.units, 0)) as problem
  from products p
  left join owned o on o.product_id = p.id
  left join lines l on l.product_id = p.id
  where least(p.available, p.reserved, p.sold) < 0 or coalesce(l.confirmed, 0) > coalesce(o.units, 0)`;

/** All lines of an order or none: what the order's head says, each of its lines says. */
const IN_ONE_PIECE = `
  select 'order ' || order_id as subject,
         format('its reservation is %s, its lines are %s', coalesce(h.status, 'missing'),
                coalesce(string_agg(l.status, ', ' order by l.product_id), 'missing')) as problem
  from order_reservations h full join stock_reservations l using (order_id)
  group by order_id, h.status
  having h.status is null
      or (h.status in ('RESERVED', 'HELD', 'CONFIRMED') and coalesce(bool_or(l.status <> h.status), true))
      or (h.status = 'REFUSED' and count(l.status) > 0)
      or (h.status in ('RELEASED', 'EXPIRED') and bool_or(l.status in ('RESERVED', 'HELD', 'CONFIRMED')))`;

export const STOCK_RULES: readonly SqlRule[] = [
  {
    invariant: "I2",
    database: "product",
    needs: ["products", "stock_adjustments", "stock_reservations"],
    text: ADDS_UP,
  },
  {
    invariant: "I3",
    database: "product",
    needs: ["products", "stock_adjustments", "stock_reservations"],
    text: OVERSOLD,
  },
  {
    invariant: "I5",
    database: "product",
    needs: ["order_reservations", "stock_reservations"],
    text: IN_ONE_PIECE,
  },
];

export const STOCK_COUNTS: readonly Count[] = [
  { invariant: "I2", database: "product", table: "products", what: "products" },
  { invariant: "I2", database: "product", table: "stock_adjustments", what: "adjustments" },
  { invariant: "I2", database: "product", table: "stock_reservations", what: "reserved lines" },
  { invariant: "I3", database: "product", table: "products", what: "products" },
];
