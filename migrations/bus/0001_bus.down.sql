drop table bus_offsets;
drop table bus_members;
drop table bus_log;
drop table bus_partitions;
drop table bus_topics;
