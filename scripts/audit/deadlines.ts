import type { Count, SqlRule } from "./sql-rules.ts";

/**
 * I4, as far as one database can tell. `$1` is the moment before which something is late: now, or the last sign of
 * life of a stopped system, less the grace. What is late only if nobody works on it is in agreement.ts.
 */

/** Without any durable progress for this long a saga goes round in circles, however often it is woken. */
const SAGA_STILL_MAX = "15 minutes";
/** Of a transaction that is decided: 30 s for its confirms and 30 s for its cancels. */
const DECIDED_MAX = "60 seconds";
/** The job that gives expired stock back runs each minute. */
export const EXPIRY_INTERVAL = "60 seconds";
/** A payment's hold, which outlives the transaction it belongs to by a minute. */
export const PAYMENT_HOLD = "15 minutes";

const SAGAS = `
  select 'saga ' || id as subject,
         format('%s of order %s is %s%s: %s', saga_type, business_key, state, ' at ' || current_step, problem) as problem
  from (
    select *, case
      when state in ('COMPLETED', 'COMPENSATED') then
        case when wake_at is not null then 'it has ended, and still has a wake-up time' end
      when state = 'STUCK' then 'its retries are used up, an operator has to act'
      when wake_at is null then 'it has no wake-up time, so nobody will ever take it on'
      when wake_at < $1 then format('it should have been woken at %s', wake_at)
      when updated_at < $1::timestamptz - interval '${SAGA_STILL_MAX}' then format('no progress since %s', updated_at)
    end as problem
    from saga_instances
    where wake_at is not null or state not in ('COMPLETED', 'COMPENSATED')
  ) open
  where problem is not null`;

const TRANSACTIONS = `
  select 'transaction ' || id as subject,
         format('%s of order %s is %s: %s', tcc_type, business_key, state, problem) as problem
  from (
    select *, case
      when state in ('CONFIRMED', 'CANCELLED') then
        case when wake_at is not null then 'it has ended, and still has a wake-up time' end
      when wake_at is null then 'it has no wake-up time, so nobody will ever take it on'
      when state in ('INITIAL', 'TRYING', 'TRY_SUCCEEDED') and expires_at < $1
        then format('it should have been decided by %s', expires_at)
      when expires_at + interval '${DECIDED_MAX}' < $1 then format('it should have ended by now, it expired at %s', expires_at)
      when wake_at < $1 then format('it should have been woken at %s', wake_at)
    end as problem
    from tcc_transactions
    where wake_at is not null or state not in ('CONFIRMED', 'CANCELLED')
  ) open
  where problem is not null`;

const RESERVATIONS = `
  select 'order ' || h.order_id as subject,
         format('its stock is still reserved, the reservation expired at %s', deadline.at) as problem
  from order_reservations h
  cross join lateral (
    select coalesce(h.expires_at, (select max(l.expires_at) from stock_reservations l where l.order_id = h.order_id)) as at
  ) deadline
  where h.status = 'RESERVED' and deadline.at + interval '${EXPIRY_INTERVAL}' < $1`;

const ATTEMPTS = `
  select 'payment ' || payment_id as subject,
         format('its attempt %s to %s, begun at %s, has no outcome', id, operation, created_at) as problem
  from payment_attempts
  where finished_at is null and created_at + interval '${PAYMENT_HOLD}' < $1`;

export const DEADLINE_RULES: readonly SqlRule[] = [
  { invariant: "I4", database: "saga", needs: ["saga_instances"], text: SAGAS },
  { invariant: "I4", database: "saga", needs: ["tcc_transactions"], text: TRANSACTIONS },
  {
    invariant: "I4",
    database: "product",
    needs: ["order_reservations", "stock_reservations"],
    text: RESERVATIONS,
  },
  { invariant: "I4", database: "payment", needs: ["payment_attempts"], text: ATTEMPTS },
];

export const DEADLINE_COUNTS: readonly Count[] = [
  { invariant: "I4", database: "saga", table: "saga_instances", what: "sagas" },
  { invariant: "I4", database: "saga", table: "tcc_transactions", what: "transactions" },
  {
    invariant: "I4",
    database: "product",
    table: "order_reservations",
    what: "holds",
    where: "status in ('RESERVED', 'HELD')",
  },
  { invariant: "I4", database: "payment", table: "payments", what: "payments" },
];
