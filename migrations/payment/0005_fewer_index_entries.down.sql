alter table payments add constraint payments_authorisation_id_key unique (authorisation_id);
