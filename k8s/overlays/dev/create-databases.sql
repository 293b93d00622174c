-- Run once, by the PostgreSQL image, on an empty data folder. Tables come with the migrations.
create database oms_order;
create database oms_product;
create database oms_payment;
create database oms_customer;
create database oms_saga;
