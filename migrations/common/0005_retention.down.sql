create index idempotency_records_expiry on idempotency_records (expires_at);
drop table retention;
