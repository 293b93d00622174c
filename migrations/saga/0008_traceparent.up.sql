-- The W3C trace context of the request that started it, where that was sampled: whoever works on it goes on in its trace.
alter table saga_instances add column traceparent text;
alter table tcc_transactions add column traceparent text;
