drop table operator_actions;
drop view tcc_participants;
drop table tcc_transactions;
