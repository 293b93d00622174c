drop view outbox;
drop table outbox_relays;
drop table outbox_buckets;
drop table outbox_blocked;
drop table outbox_delivery;
drop table outbox_events;
