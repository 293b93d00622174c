alter table saga_instances drop column traceparent;
alter table tcc_transactions drop column traceparent;
