create table idempotency_records (
  subject text not null,
  key text not null,
  operation text not null,
  request_hash text not null,
  status text not null check (status in ('PROCESSING', 'COMPLETED', 'FAILED')),
  attempt integer not null default 1,
  locked_until timestamptz,
  response_status smallint,
  -- json keeps the answer as it was given, to the order of its fields.
  response_headers json,
  response_data json,
  created_at timestamptz not null default now(),
  completed_at timestamptz,
  -- A request in hand never expires; a finished one does, counted from its end.
  expires_at timestamptz,
  primary key (subject, key)
);
create index idempotency_records_expiry on idempotency_records (expires_at);
