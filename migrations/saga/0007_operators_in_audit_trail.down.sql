drop trigger operator_action_audited on operator_actions;
drop function operator_action_audited;
