-- The dead-letter topic as operators look at it: each letter once, with what became of it.
create table dead_letters (
  -- In the order in which they were taken from the topic.
  id uuid primary key,
  -- The letter's event; of a message that is none of ours, its place on the topic.
  event_id uuid not null unique,
  -- The consumer group that put the message aside, or `outbox`: the bus refused an event.
  source text not null,
  topic text not null,
  event_type text not null,
  correlation_id text not null,
  error_type text not null,
  error_message text not null,
  attempts integer not null,
  -- As it came, with the message that it carries.
  letter json not null,
  at timestamptz not null,
  status text not null default 'OPEN' check (status in ('OPEN', 'REDRIVEN')),
  redrives integer not null default 0,
  redrive_error text,
  redriven_at timestamptz
);
create index dead_letters_open on dead_letters (id) where status = 'OPEN';
