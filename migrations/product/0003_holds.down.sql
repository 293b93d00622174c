drop index order_reservations_held;
alter table order_reservations drop column made_by_hold, drop column held_by;
