create table orders (
  id uuid primary key,
  customer_id uuid not null,
  saga_id uuid not null,
  status text not null check (status in
    ('draft', 'created', 'paying', 'paid', 'shipping', 'completed', 'cancelling', 'cancelled')),
  reason_code text,
  reason_message text,
  total_minor bigint not null check (total_minor >= 0),
  currency char(3) not null,
  shipping_address jsonb,
  cancelled_at timestamptz,
  cancelled_by text,
  -- Version of the row.
  version integer not null default 1,
  -- Version of the last event about it.
  event_version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
) with (fillfactor = 70);
create index orders_by_customer on orders (customer_id, id);

-- Written only with their order, in one transaction; a foreign key would check each line once more.
create table order_items (
  order_id uuid not null,
  line smallint not null,
  product_id uuid not null,
  sku text not null,
  quantity integer not null check (quantity > 0),
  price_minor bigint not null check (price_minor >= 0),
  primary key (order_id, line)
);

-- Append-only: how each order came to where it is.
create table order_status_history (
  order_id uuid not null,
  version integer not null,
  status text not null,
  reason_code text,
  reason text,
  actor text,
  at timestamptz not null default now(),
  primary key (order_id, version)
);
