-- What operators do is in the trail whoever writes it down, also by hand.
create function operator_action_audited() returns trigger language plpgsql as $$
begin
  insert into audit_trail (actor, action, target, detail)
  values (new.actor, 'operator.' || new.action, new.target_type || ' ' || new.target_id,
    json_build_object('reason', new.reason, 'result', new.result));
  return null;
end $$;
create trigger operator_action_audited after insert on operator_actions
  for each row execute function operator_action_audited();
