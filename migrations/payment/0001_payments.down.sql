drop table psp_events;
drop table ledger_entries;
drop function ledger_append_only();
drop function ledger_balanced();
drop table refunds;
drop table payment_attempts;
drop table payments;
