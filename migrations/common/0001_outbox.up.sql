-- Insert-only. Written in the transaction of the change it tells of, after the aggregate's row is locked, so
-- that versions are gapless and positions rise with them. Lean: the relay reads by position, and the unique
-- pair is what keeps a version from being told twice; event ids need no index of their own.
create table outbox_events (
  position bigint generated always as identity primary key,
  id uuid not null,
  aggregate_type text not null,
  aggregate_id uuid not null,
  aggregate_version integer not null,
  event_type text not null,
  topic text not null,
  -- json, not jsonb: it is written once and read back as the text it was.
  payload json not null,
  headers json not null,
  created_at timestamptz not null default now(),
  unique (aggregate_id, aggregate_version)
);

-- How far each event has got. Apart from the events, so that those are never updated.
create table outbox_delivery (
  position bigint primary key,
  event_id uuid not null,
  bucket smallint not null,
  status text not null default 'PENDING' check (status in ('PENDING', 'PUBLISHED', 'FAILED')),
  retry_count smallint not null default 0,
  next_attempt_at timestamptz,
  published_at timestamptz,
  error_message text
) with (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0.1
);
create index outbox_delivery_pending on outbox_delivery (position) where status = 'PENDING';
create index outbox_delivery_failed on outbox_delivery (position) where status = 'FAILED';

-- An aggregate with a refused event waits behind it; the others go on.
create table outbox_blocked (
  aggregate_id uuid primary key,
  position bigint not null,
  blocked_at timestamptz not null default now()
);

-- Each bucket of aggregates is relayed by one node at a time.
create table outbox_buckets (
  bucket smallint primary key,
  owner text,
  leased_until timestamptz not null default '-infinity'
) with (fillfactor = 50);
insert into outbox_buckets (bucket) select generate_series(0, 15);

create table outbox_relays (
  owner text primary key,
  seen_until timestamptz not null
) with (fillfactor = 50);

create view outbox as
  select e.id, e.aggregate_type, e.aggregate_id, e.aggregate_version, e.event_type, e.topic, e.payload, e.headers,
         e.created_at, coalesce(d.status, 'PUBLISHED') as status, coalesce(d.retry_count, 0) as retry_count,
         d.next_attempt_at, d.published_at, d.error_message, e.position
  from outbox_events e
  left join outbox_delivery d using (position);
