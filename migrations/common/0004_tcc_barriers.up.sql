-- What a participant has been asked under each global transaction, and what it answered. A row is written in
-- the transaction of its effect, so that the operation happens once, a cancel before its try leaves a mark that
-- the late try runs into, and a repetition gets the first answer.
create table tcc_barriers (
  gid uuid not null,
  branch text not null,
  op text not null check (op in ('try', 'confirm', 'cancel')),
  -- The operation that wrote it: a try row written by a cancel stands for a try that must not come any more.
  origin text not null check (origin in ('try', 'confirm', 'cancel')),
  reply json,
  created_at timestamptz not null default now(),
  primary key (gid, branch, op)
);
