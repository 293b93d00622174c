-- A release that came while a global transaction held the reservation: carried out when the hold ends, either way.
alter table order_reservations add column release_asked json;
