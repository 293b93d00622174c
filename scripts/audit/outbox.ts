import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import { goneBefore } from "./horizon.ts";
import type { Count, SqlRule } from "./sql-rules.ts";

/** I7, as far as each outbox can tell; what stands on the bus is compared in messages.ts. */

/** Behind an event that the bus refuses for good its aggregate waits by design: I10 asks for that one's letter. */
const WAITING = `
  select 'event ' || e.id as subject,
         format('%s, version %s of %s %s, has been waiting for the bus since %s',
                e.event_type, e.aggregate_version, e.aggregate_type, e.aggregate_id, e.created_at) as problem
  from outbox_delivery d
  join outbox_events e using (position)
  left join outbox_blocked b on b.aggregate_id = e.aggregate_id
  left join outbox_delivery f on f.position = b.position and f.status = 'FAILED'
  where d.status = 'PENDING' and e.created_at < $1 and (f.position is null or f.position >= d.position)
  union all
  select 'event ' || d.event_id, format('its delivery is %s, and the event itself is gone', d.status)
  from outbox_delivery d left join outbox_events e using (position) where e.position is null`;

/** Retention takes published events, by and by: what it may take by now is not looked at, be it still there or not. */
const KEPT = `
  kept as (
    select e.* from outbox_events e left join outbox_delivery d using (position)
    where coalesce(d.status <> 'PUBLISHED' or d.published_at >= ${goneBefore("outbox_delivery")}, true)
  )`;

const VERSIONS = `
  with ${KEPT}, told as (
    select aggregate_id, aggregate_version as version, lag(aggregate_version) over w as version_before,
           position, lag(position) over w as position_before
    from kept window w as (partition by aggregate_id order by aggregate_version)
  ), wrong as (
    select distinct aggregate_id from told
    where version <> coalesce(version_before + 1, case ${goneBefore("outbox_delivery")} when '-infinity' then 1 else version end)
       or position < position_before
  )
  select min(aggregate_type) || ' ' || aggregate_id as subject,
         format('its events were written with the versions %s',
                string_agg(aggregate_version::text, ', ' order by position)) as problem
  from outbox_events where aggregate_id in (select aggregate_id from wrong) group by aggregate_id`;

interface Teller {
  readonly database: DatabaseName;
  readonly table: string;
  readonly id: string;
  /** Where the aggregate counts its own events: without it a missing last one would go unnoticed. */
  readonly counter: string;
  readonly type: string;
}

const TELLERS: readonly Teller[] = [
  { database: "order", table: "orders", id: "id", counter: "event_version", type: "order" },
  {
    database: "product",
    table: "order_reservations",
    id: "order_id",
    counter: "event_version",
    type: "reservation",
  },
  { database: "product", table: "products", id: "id", counter: "version", type: "product" },
  { database: "saga", table: "saga_instances", id: "id", counter: "published", type: "saga" },
];

/** None is left of one that is old enough; but if any is, then the last one is. */
const lastTold = ({ table, id, counter, type }: Teller) => `
  with ${KEPT}
  select '${type} ' || a.${id} as subject,
         format('has told of %s events, %s are in its outbox', a.${counter}, coalesce(e.last, 0)) as problem
  from ${table} a
  left join (
    select aggregate_id, max(aggregate_version) as last from kept
    where aggregate_type = '${type}' group by aggregate_id
  ) e on e.aggregate_id = a.${id}
  where a.${counter} <> coalesce(e.last, 0)
    and (e.last is not null or a.created_at >= ${goneBefore("outbox_delivery")})`;

export const OUTBOX_RULES: readonly SqlRule[] = [
  ...DATABASE_NAMES.flatMap((database): SqlRule[] => [
    {
      invariant: "I7",
      database,
      needs: ["outbox_events", "outbox_delivery", "outbox_blocked"],
      text: WAITING,
    },
    { invariant: "I7", database, needs: ["outbox_events", "outbox_delivery"], text: VERSIONS },
  ]),
  ...TELLERS.map((teller): SqlRule => {
    const { database, table } = teller;
    return {
      invariant: "I7",
      database,
      needs: [table, "outbox_events", "outbox_delivery"],
      text: lastTold(teller),
    };
  }),
];

export const OUTBOX_COUNTS: readonly Count[] = DATABASE_NAMES.flatMap((database): Count[] => [
  { invariant: "I7", database, table: "outbox_events", what: "events" },
  {
    invariant: "I7",
    database,
    table: "outbox_delivery",
    what: "waiting",
    where: "status = 'PENDING'",
  },
]);
