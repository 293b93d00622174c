-- Names and e-mail addresses are ciphertexts from now on. That nobody has an address twice is seen by its blind index,
-- which is null where an address of before is still plain: npm run rewrap encrypts those.
alter table customers add column email_index text;
create unique index customers_by_email_index on customers (email_index);
drop index customers_by_email;
