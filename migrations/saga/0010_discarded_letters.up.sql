-- A letter that nobody is going to deliver again is said to be done with, so that what is open is what is to be done.
alter table dead_letters drop constraint dead_letters_status_check;
alter table dead_letters add constraint dead_letters_status_check
  check (status in ('OPEN', 'REDRIVEN', 'DISCARDED')) not valid;
alter table dead_letters validate constraint dead_letters_status_check;
alter table dead_letters add column discarded_at timestamptz;
