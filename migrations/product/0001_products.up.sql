create table products (
  id uuid primary key,
  sku text not null unique,
  name text not null,
  price_minor bigint not null check (price_minor >= 0),
  currency char(3) not null,
  available bigint not null check (available >= 0),
  reserved bigint not null default 0 check (reserved >= 0),
  sold bigint not null default 0 check (sold >= 0),
  -- Version of the last event about it.
  version integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
) with (fillfactor = 40, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Every change of what is owned, the first stock among them: sum(delta) = available + reserved + sold.
create table stock_adjustments (
  id uuid primary key,
  product_id uuid not null references products (id),
  delta bigint not null,
  reason text not null,
  actor text not null,
  at timestamptz not null default now()
);
create index stock_adjustments_by_product on stock_adjustments (product_id);
