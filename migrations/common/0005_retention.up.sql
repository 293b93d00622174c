-- How far retention has come with each table, and whose turn it is. Who compares tables with one another (the audit)
-- reads here what can no longer be there.
create table retention (
  table_name text primary key,
  -- Of the rows whose time began before this, some may be gone.
  gone_before timestamptz not null default '-infinity',
  rows_gone bigint not null default 0,
  -- One node at a time walks through a table; the next walk is due then.
  owner text,
  leased_until timestamptz not null default '-infinity',
  due_at timestamptz not null default '-infinity'
) with (fillfactor = 50);

-- Retention walks through the pages of a table instead: one index less to maintain with each request.
drop index idempotency_records_expiry;
