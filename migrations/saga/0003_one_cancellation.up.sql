-- Requests under different keys may ask for one cancellation at once: one of them starts it. A second saga would
-- release and refund what the first one has, and wait for answers that only the first one gets.
create unique index saga_instances_one_cancellation on saga_instances (business_key)
  where saga_type = 'CANCEL_ORDER' and wake_at is not null;
