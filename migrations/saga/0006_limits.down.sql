drop table rate_limits;
create index tcc_transactions_by_business_key on tcc_transactions (business_key);
drop index tcc_transactions_attempts;
alter table tcc_transactions drop column attempt;
