create table saga_instances (
  id uuid primary key,
  saga_type text not null,
  state text not null,
  current_step text,
  attempt integer not null,
  version integer not null,
  -- Version of the last event that it published.
  published integer not null,
  -- What it is about (an order) and whose it is.
  business_key uuid not null,
  owner_id uuid not null,
  correlation_id text not null,
  -- json, not jsonb: written as text, read as a whole.
  input json not null,
  progress json not null,
  -- When any node may take it on again; null: nothing is owed.
  wake_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
create index saga_instances_due on saga_instances (wake_at) where wake_at is not null;
create index saga_instances_by_business_key on saga_instances (business_key);
