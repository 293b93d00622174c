import type { Count, SqlRule } from "./sql-rules.ts";

/** I1, as far as the payment database can tell, and of I5 that no payment is captured twice. */

const POSTINGS = `
  select concat('payment ', payment_id, ', refund ' || refund_id) as subject,
         format('its posting debits %s and credits %s %s%s', debits, credits, currency,
                case when negative then ', with negative amounts' end) as problem
  from (
    select payment_id, refund_id, currency, bool_or(amount_minor < 0) as negative,
           coalesce(sum(amount_minor) filter (where direction = 'debit'), 0) as debits,
           coalesce(sum(amount_minor) filter (where direction = 'credit'), 0) as credits
    from ledger_entries group by payment_id, refund_id, currency
  ) posting
  where debits <> credits or negative`;

const PAYMENTS = `
  with booked as (
    select payment_id, array_agg(distinct currency::text) as currencies,
           coalesce(sum(amount_minor) filter (where direction = 'debit' and refund_id is null), 0) as captured,
           coalesce(sum(amount_minor) filter (where direction = 'debit' and refund_id is not null), 0) as refunded
    from ledger_entries group by payment_id
  ), compared as (
    select p.id, concat_ws('; ',
      case when p.captured_minor <> coalesce(b.captured, 0)
        then format('says %s captured, the ledger %s', p.captured_minor, coalesce(b.captured, 0)) end,
      case when p.refunded_minor <> coalesce(b.refunded, 0)
        then format('says %s refunded, the ledger %s', p.refunded_minor, coalesce(b.refunded, 0)) end,
      case when b.currencies <> array[p.currency::text]
        then format('is in %s, booked in %s', p.currency, array_to_string(b.currencies, ', ')) end,
      case when not (0 <= p.refunded_minor and p.refunded_minor <= p.captured_minor and p.captured_minor <= p.amount_minor)
        then format('has %s refunded of %s captured of %s', p.refunded_minor, p.captured_minor, p.amount_minor) end,
      case when not case p.status
          when 'captured' then p.refunded_minor = 0 and (p.captured_minor > 0 or p.amount_minor = 0)
          when 'partially_refunded' then p.refunded_minor > 0 and p.refunded_minor < p.captured_minor
          when 'refunded' then p.refunded_minor = p.captured_minor
          else p.captured_minor = 0 and p.refunded_minor = 0
        end
        then format('is %s with %s captured and %s refunded', p.status, p.captured_minor, p.refunded_minor) end
    ) as problem
    from payments p left join booked b on b.payment_id = p.id
  )
  select 'payment ' || id as subject, problem from compared where problem <> ''
  union all
  select 'payment ' || payment_id, 'is in the ledger and does not exist'
  from booked where payment_id not in (select id from payments)`;

const REFUNDS = `
  with booked as (
    select refund_id, min(payment_id::text) as payment_id, count(distinct payment_id) as payments,
           coalesce(sum(amount_minor) filter (where direction = 'debit'), 0) as amount
    from ledger_entries where refund_id is not null group by refund_id
  )
  select 'refund ' || coalesce(r.id, b.refund_id) as subject,
         case when r.id is null then 'is in the ledger and does not exist'
              when b.refund_id is null then format('is %s and not in the ledger', r.status)
              when b.amount <> r.amount_minor then format('is of %s, the ledger says %s', r.amount_minor, b.amount)
              else format('is of payment %s, the ledger says %s', r.payment_id, b.payment_id) end as problem
  from refunds r full join booked b on b.refund_id = r.id
  where r.id is null or (b.refund_id is null and r.status = 'succeeded') or b.amount <> r.amount_minor
     or b.payments > 1 or b.payment_id <> r.payment_id::text`;

const CAPTURED_TWICE = `
  select 'payment ' || payment_id as subject, format('was captured %s times', count(*)) as problem
  from payment_attempts where operation = 'capture' and status = 'succeeded'
  group by payment_id having count(*) > 1`;

export const MONEY_RULES: readonly SqlRule[] = [
  { invariant: "I1", database: "payment", needs: ["ledger_entries"], text: POSTINGS },
  { invariant: "I1", database: "payment", needs: ["payments", "ledger_entries"], text: PAYMENTS },
  { invariant: "I1", database: "payment", needs: ["refunds", "ledger_entries"], text: REFUNDS },
  { invariant: "I5", database: "payment", needs: ["payment_attempts"], text: CAPTURED_TWICE },
];

export const MONEY_COUNTS: readonly Count[] = [
  { invariant: "I1", database: "payment", table: "payments", what: "payments" },
  { invariant: "I1", database: "payment", table: "ledger_entries", what: "ledger entries" },
];
