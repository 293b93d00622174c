-- Operators look through the trail by what something was done to (the id in "order 0199…") and by who did it.
create index audit_trail_by_target on audit_trail (split_part(target, ' ', 2), sequence);
create index audit_trail_by_actor on audit_trail (actor, sequence);
