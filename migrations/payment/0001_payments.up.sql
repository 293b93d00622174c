-- A payment is a branch of one global transaction. Its intents are committed before the provider is asked, its
-- outcomes after, so that a crash in between leaves a row that says what to ask about.
create table payments (
  id uuid primary key,
  order_id uuid not null,
  customer_id uuid not null,
  gid uuid not null unique,
  status text not null check (status in
    ('initiated', 'reserved', 'captured', 'failed', 'voided', 'refunded', 'partially_refunded')),
  -- What has been decided for the authorisation, before the provider knows: the two exclude each other.
  intent text check (intent in ('capture', 'void')),
  -- The provider may hold money for us: to be captured or voided before hold_until.
  held boolean not null default true,
  hold_until timestamptz not null,
  amount_minor bigint not null check (amount_minor > 0),
  captured_minor bigint not null default 0 check (captured_minor in (0, amount_minor)),
  refunded_minor bigint not null default 0 check (refunded_minor >= 0),
  -- Refunds on their way. Together with those that are done never more than was taken.
  refunding_minor bigint not null default 0 check (refunding_minor >= 0),
  currency text not null check (currency ~ '^[A-Z]{3}$'),
  payment_method text not null,
  provider text not null,
  -- The attempt that authorised: the provider knows the authorisation by this key.
  authorisation_id uuid not null unique,
  provider_reference text,
  -- Why the provider refused.
  error_code text,
  event_version integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check (refunded_minor <= captured_minor),
  check (refunded_minor + refunding_minor <= captured_minor),
  check (captured_minor = 0 or intent = 'capture')
) with (fillfactor = 70);
-- Never two captures of one order: the second is refused before its provider is asked.
create unique index payments_one_capture on payments (order_id) where intent = 'capture';
create index payments_order on payments (order_id, id);
create index payments_hold on payments (hold_until) where held;

-- Every question to the provider, committed before it is asked; the id is the provider's idempotency key.
create table payment_attempts (
  id uuid primary key,
  payment_id uuid not null,
  operation text not null check (operation in ('authorise', 'capture', 'void', 'refund')),
  status text not null default 'pending' check (status in ('pending', 'succeeded', 'declined', 'unknown')),
  amount_minor bigint not null check (amount_minor > 0),
  refund_id uuid,
  correlation_id text not null,
  error_code text,
  provider_reference text,
  -- Set: the worker asks, then. Otherwise whoever committed the attempt does.
  next_at timestamptz,
  tries integer not null default 0,
  created_at timestamptz not null default now(),
  finished_at timestamptz
) with (fillfactor = 70);
create index payment_attempts_payment on payment_attempts (payment_id, id);
create index payment_attempts_due on payment_attempts (next_at) where next_at is not null;

create table refunds (
  id uuid primary key,
  payment_id uuid not null references payments (id),
  amount_minor bigint not null check (amount_minor > 0),
  reason text not null,
  status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
  -- The cancellation that waits for it.
  saga_id uuid,
  created_at timestamptz not null default now(),
  finished_at timestamptz
) with (fillfactor = 70);
create index refunds_payment on refunds (payment_id, id);

-- Double entry, append-only. A posting is what one attempt moved: written once, in one statement, in balance.
create table ledger_entries (
  id bigint generated always as identity primary key,
  posting_id uuid not null,
  payment_id uuid not null,
  refund_id uuid,
  account text not null,
  direction text not null check (direction in ('debit', 'credit')),
  amount_minor bigint not null check (amount_minor > 0),
  currency text not null,
  at timestamptz not null default now(),
  unique (posting_id, account, direction)
);
create index ledger_entries_payment on ledger_entries (payment_id);

-- One check for a whole statement, where a deferred trigger would run once per row.
create function ledger_balanced() returns trigger language plpgsql as $$
begin
  if exists (
    select from posted group by posting_id, currency
    having sum(case direction when 'debit' then amount_minor else -amount_minor end) <> 0
  ) then
    raise exception 'a posting is out of balance' using errcode = 'check_violation';
  end if;
  return null;
end $$;
create trigger ledger_balanced after insert on ledger_entries
  referencing new table as posted for each statement execute function ledger_balanced();

create function ledger_append_only() returns trigger language plpgsql as $$
begin
  raise exception 'ledger_entries is append-only' using errcode = 'restrict_violation';
end $$;
create trigger ledger_append_only before update or delete or truncate on ledger_entries
  for each statement execute function ledger_append_only();

-- What providers have told us by themselves: each of their events has its effect once.
create table psp_events (
  provider text not null,
  event_id text not null,
  type text not null,
  attempt_id uuid,
  result text not null,
  received_at timestamptz not null default now(),
  primary key (provider, event_id)
);
