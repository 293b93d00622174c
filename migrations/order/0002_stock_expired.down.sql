alter table orders drop column stock_expired_at;
