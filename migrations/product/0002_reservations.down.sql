drop table stock_reservations;
drop table order_reservations;
