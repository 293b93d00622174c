drop table token_versions;
drop table token_version_head;
