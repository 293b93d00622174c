drop table saga_instances;
