drop index audit_trail_by_target;
drop index audit_trail_by_actor;
