create table customers (
  id uuid primary key,
  name text not null,
  email text not null,
  status text not null check (status in ('active', 'inactive')),
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index customers_by_email on customers (lower(email));
