-- Orders that were cancelled before their draft came: a draft that comes late is refused.
create table order_tombstones (
  order_id uuid primary key,
  at timestamptz not null default now()
);
