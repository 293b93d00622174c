-- One row per order that ever asked for stock. It is what concurrent commands about one order lock, carries
-- the version of its events, and remembers a release that came before its reservation.
create table order_reservations (
  order_id uuid primary key,
  status text not null check (status in ('RESERVED', 'REFUSED', 'RELEASED', 'HELD', 'CONFIRMED', 'EXPIRED')),
  event_version integer not null default 1,
  expires_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
) with (fillfactor = 70);
create index order_reservations_expiry on order_reservations (expires_at) where status = 'RESERVED';

create table stock_reservations (
  order_id uuid not null,
  product_id uuid not null,
  quantity bigint not null check (quantity > 0),
  status text not null check (status in ('RESERVED', 'RELEASED', 'HELD', 'CONFIRMED', 'EXPIRED')),
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (order_id, product_id)
) with (fillfactor = 70);
