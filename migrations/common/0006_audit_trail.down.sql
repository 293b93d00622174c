drop table audit_trail;
drop table audit_trail_head;
drop function audit_trail_append_only;
drop function audit_trail_chain;
