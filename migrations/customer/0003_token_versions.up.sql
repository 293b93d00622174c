-- The least version (claim `ver`) that the tokens of a subject must have. Each change takes the next revision under the
-- lock of the one head row, so that revisions become visible in their order, and whoever has seen one misses none
-- below it.
create table token_version_head (
  id boolean primary key default true check (id),
  revision bigint not null
);
insert into token_version_head (revision) values (0);

create table token_versions (
  subject text primary key check (length(subject) between 1 and 64),
  version bigint not null check (version > 0),
  revision bigint not null unique,
  actor text not null,
  reason text not null,
  at timestamptz not null default now()
);
