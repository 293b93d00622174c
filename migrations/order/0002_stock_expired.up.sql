-- When the order's reservation expired while it could not yet be cancelled for it (it was being paid).
alter table orders add column stock_expired_at timestamptz;
