-- Where the moves of orders are told, and how that goes; the address and the secrets are settings.
create table notification_endpoint (
  only_one boolean primary key default true check (only_one),
  url text not null,
  -- What happened to orders before it was first known is not told.
  since timestamptz not null default now(),
  -- Since when nothing has got through.
  failing_since timestamptz,
  disabled_at timestamptz,
  last_error text
);

create table notifications (
  -- In the order in which the events arrived.
  id uuid primary key,
  event_id uuid not null unique,
  order_id uuid not null,
  -- Of the order's events: they are told in this order.
  version integer not null,
  type text not null,
  -- As it is sent: the signature is over these bytes.
  body text not null,
  status text not null check (status in ('PENDING', 'DELIVERED', 'FAILED', 'SKIPPED')),
  attempts integer not null default 0,
  due_at timestamptz not null default now(),
  last_status integer,
  last_error text,
  created_at timestamptz not null default now(),
  ended_at timestamptz
);
create index notifications_due on notifications (due_at, id) where status = 'PENDING';
create index notifications_of_order on notifications (order_id, version);
