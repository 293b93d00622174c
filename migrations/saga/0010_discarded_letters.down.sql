-- What was discarded is open again: whoever goes back to the release before has no other word for it.
update dead_letters set status = 'OPEN' where status = 'DISCARDED';
alter table dead_letters drop column discarded_at;
alter table dead_letters drop constraint dead_letters_status_check;
alter table dead_letters add constraint dead_letters_status_check check (status in ('OPEN', 'REDRIVEN'));
