-- What each subject and address has used ahead of its time, shared by all gateways. Unlogged: written often, worth
-- nothing after a few seconds; a crash of the server empties it, and everybody starts anew.
create unlogged table rate_limits (
  key text primary key,
  -- When all that was used is worked off.
  settled_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

-- Which attempt to pay its order a transaction is. Of two that start at once only one gets a number: the limit holds.
alter table tcc_transactions add column attempt smallint;
update tcc_transactions t set attempt = n.attempt
from (select id, row_number() over (partition by business_key order by created_at, id) as attempt from tcc_transactions) n
where n.id = t.id;
alter table tcc_transactions alter column attempt set not null;
create unique index tcc_transactions_attempts on tcc_transactions (business_key, attempt);
drop index tcc_transactions_by_business_key;
