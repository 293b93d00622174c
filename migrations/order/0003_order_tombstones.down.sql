drop table order_tombstones;
