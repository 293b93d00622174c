drop table stock_adjustments;
drop table products;
