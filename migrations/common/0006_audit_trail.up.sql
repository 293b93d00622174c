-- Who did what, for good: each entry's hash covers it and the hash of the one before it, so that an entry that is
-- altered, taken out or put in is seen (npm run audit). The head has the last one, and puts writers in line: they hold
-- its row until they commit, so entries have no gaps and commit in their order.
create table audit_trail (
  sequence bigint primary key,
  at timestamptz not null,
  -- The subject of a token, or the part of the system that acted by itself.
  actor text not null,
  action text not null,
  -- What it was done to: an id, a route. Never personal data, and neither is any in the detail.
  target text not null,
  detail json not null,
  correlation_id text,
  previous_hash bytea not null,
  hash bytea not null
);

create table audit_trail_head (
  only_one boolean primary key default true check (only_one),
  sequence bigint not null,
  hash bytea not null
) with (fillfactor = 50);
insert into audit_trail_head (sequence, hash) values (0, sha256(''));

create function audit_trail_text(entry audit_trail) returns text language sql stable as $$
  select json_build_array(entry.sequence, (extract(epoch from entry.at) * 1000000)::bigint, entry.actor, entry.action,
    entry.target, entry.detail, entry.correlation_id)::text
$$;

-- By the owner's rights: who may insert into the trail needs none to the head.
create function audit_trail_chain() returns trigger language plpgsql security definer set search_path from current as $$
declare
  head audit_trail_head;
begin
  select * into head from audit_trail_head for update;
  new.sequence := head.sequence + 1;
  new.at := clock_timestamp();
  new.previous_hash := head.hash;
  new.hash := sha256(head.hash || convert_to(audit_trail_text(new), 'UTF8'));
  update audit_trail_head set sequence = new.sequence, hash = new.hash;
  return new;
end $$;
create trigger audit_trail_chain before insert on audit_trail
  for each row execute function audit_trail_chain();

create function audit_trail_append_only() returns trigger language plpgsql as $$
begin
  -- The head is moved by the trigger above, and by nobody else.
  if tg_table_name = 'audit_trail_head' and tg_op = 'UPDATE' and pg_trigger_depth() > 1 then
    return null;
  end if;
  raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger audit_trail_append_only before update or delete or truncate on audit_trail
  for each statement execute function audit_trail_append_only();
create trigger audit_trail_head_append_only before update or delete or truncate on audit_trail_head
  for each statement execute function audit_trail_append_only();

revoke all on audit_trail, audit_trail_head from public;
