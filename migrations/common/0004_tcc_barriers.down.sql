drop table tcc_barriers;
