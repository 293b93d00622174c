alter table order_reservations drop column release_asked;
