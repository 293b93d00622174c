-- The log of the PostgreSQL bus: topics, their partitions, the messages, and how far each group has read.
-- Text is compared byte by byte (collate "C"): faster, and the order in which publishers lock partitions.

create table bus_topics (
  name         text collate "C" primary key,
  partitions   integer not null check (partitions > 0),
  retention_ms bigint not null check (retention_ms > 0)
);

-- next_offset is taken under the row's lock, so offsets become visible in order and without gaps; a sequence
-- would let a later offset commit first and readers would skip the earlier one. Fillfactor 20: each publish
-- updates these few rows, and they must find room in their own page.
create table bus_partitions (
  topic       text collate "C" not null references bus_topics (name) on delete cascade,
  partition   integer not null,
  next_offset bigint not null default 0,
  primary key (topic, partition)
) with (fillfactor = 20);

-- value and headers hold JSON text as it was published, and nobody parses it on the way: 7.7 us of PostgreSQL per
-- message, against 9.7 with type json and 17.3 with jsonb.
create table bus_log (
  topic     text collate "C" not null,
  partition integer not null,
  "offset"  bigint not null,
  key       text not null,
  value     text not null,
  headers   text not null,
  at        timestamptz not null default now(),
  primary key (topic, partition, "offset")
);

create table bus_members (
  group_name text collate "C" not null,
  member     uuid not null,
  process    text not null,
  topics     text[] not null,
  expires_at timestamptz not null,
  primary key (group_name, member)
) with (fillfactor = 20);

-- A partition belongs to `owner` for as long as that member's row in bus_members has not expired.
create table bus_offsets (
  group_name  text collate "C" not null,
  topic       text collate "C" not null,
  partition   integer not null,
  next_offset bigint not null default 0,
  owner       uuid,
  primary key (group_name, topic, partition)
) with (fillfactor = 20);
