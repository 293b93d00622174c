create table tcc_transactions (
  id uuid primary key,
  tcc_type text not null,
  state text not null check (state in
    ('INITIAL', 'TRYING', 'TRY_SUCCEEDED', 'CONFIRMING', 'CONFIRMED', 'CANCELLING', 'CANCELLED')),
  version integer not null,
  published integer not null default 0,
  stuck boolean not null default false,
  -- What it is about (an order) and whose it is.
  business_key uuid not null,
  owner_id uuid not null,
  correlation_id text not null,
  input json not null,
  participants json not null,
  failure json,
  -- No decision to confirm after this.
  expires_at timestamptz not null,
  -- When any node may take it on again; null: it has ended.
  wake_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
create index tcc_transactions_due on tcc_transactions (wake_at) where wake_at is not null;
create index tcc_transactions_by_business_key on tcc_transactions (business_key);

create view tcc_participants as
  select t.id as gid, p.value ->> 'name' as name, p.value ->> 'state' as state,
         (p.value ->> 'attempts')::int as attempts, p.value -> 'error' as error
  from tcc_transactions t, json_array_elements(t.participants) p;

-- What operators did, to what and why; never changed.
create table operator_actions (
  id uuid primary key,
  actor text not null,
  action text not null,
  target_type text not null,
  target_id uuid not null,
  reason text not null,
  result text not null,
  at timestamptz not null default now()
);
create index operator_actions_by_target on operator_actions (target_id, at);
