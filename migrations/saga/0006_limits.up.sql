-- What each subject and address has used ahead of its time, shared by all gateways. Unlogged: written often, worth
-- nothing after a few seconds; a crash of the server empties it, and everybody starts anew.
create unlogged table rate_limits (
  key text primary key,
  -- When all that was used is worked off.
  settled_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
