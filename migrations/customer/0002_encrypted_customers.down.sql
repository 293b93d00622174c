create unique index customers_by_email on customers (lower(email));
drop index customers_by_email_index;
alter table customers drop column email_index;
