-- The simulated provider's own books. It plays an outside party: it has its own connections and transactions, and
-- nothing of ours ever joins with it.
create schema psp_simulator;

create table psp_simulator.charges (
  id uuid primary key,
  status text not null check (status in ('processing', 'authorised', 'declined', 'captured', 'voided')),
  amount_minor bigint not null,
  captured_minor bigint not null default 0,
  refunded_minor bigint not null default 0,
  currency text not null,
  method text not null,
  code text,
  -- Before this time it has not made up its mind.
  decided_at timestamptz not null,
  created_at timestamptz not null default now(),
  check (refunded_minor <= captured_minor and captured_minor <= amount_minor)
) with (fillfactor = 70);

create table psp_simulator.operations (
  id uuid primary key,
  charge_id uuid not null,
  operation text not null check (operation in ('capture', 'void', 'refund')),
  amount_minor bigint not null,
  code text,
  created_at timestamptz not null default now()
);
create index on psp_simulator.operations (charge_id);

create table psp_simulator.callbacks (
  id uuid primary key,
  body text not null,
  due_at timestamptz not null,
  tries integer not null default 0,
  delivered_at timestamptz
);
create index on psp_simulator.callbacks (due_at) where delivered_at is null;

-- Signs its webhooks where the operator has set no secret: no default that everybody knows.
create table psp_simulator.account (webhook_secret text not null);
insert into psp_simulator.account values ('whsec_' || replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''));
