-- A payment's row is written four times, and all but one of the updates change an indexed column: each index costs
-- an entry every time. Nobody looks a payment up by its authorisation: that is an attempt, found by its own key.
alter table payments drop constraint payments_authorisation_id_key;
