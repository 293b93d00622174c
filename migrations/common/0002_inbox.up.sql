-- One row per event and group, in the transaction of the event's effect: the effect happens once.
create table processed_events (
  consumer_group text not null,
  event_id uuid not null,
  event_type text not null,
  topic text not null,
  partition integer not null,
  "offset" bigint not null,
  result text not null,
  duration_ms real not null default 0,
  processed_at timestamptz not null default now(),
  primary key (consumer_group, event_id)
);

create view event_audit_log as
  select 'published' as direction, e.id as event_id, e.event_type, e.topic, e.aggregate_id, e.aggregate_version,
         null::text as consumer_group, e.created_at as at, d.status as result, d.published_at as finished_at
  from outbox_events e
  left join outbox_delivery d using (position)
  union all
  select 'received', event_id, event_type, topic, null, null, consumer_group, processed_at, result, processed_at
  from processed_events;
