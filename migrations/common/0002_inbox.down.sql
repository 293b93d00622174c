drop view event_audit_log;
drop table processed_events;
