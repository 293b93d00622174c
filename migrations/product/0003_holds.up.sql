-- The global transaction that holds a reservation past its expiry, and whether the hold made it.
alter table order_reservations
  add column held_by uuid,
  add column made_by_hold boolean not null default false;
create index order_reservations_held on order_reservations (updated_at) where status = 'HELD';
