/** What is believed here, held against the books of the one who has the money. */
export const PROVIDER_BOOKS = `
  select 'payment ' || p.id || ' differs from the provider''s books' as violation
  from payments p left join psp_simulator.charges c on c.id = p.authorisation_id
  where coalesce(c.captured_minor, 0) <> p.captured_minor or coalesce(c.refunded_minor, 0) <> p.refunded_minor
     or (not p.held and c.status = 'authorised')
  union all
  select 'order ' || order_id || ' was charged more than once'
  from payments p join psp_simulator.charges c on c.id = p.authorisation_id
  where c.captured_minor > 0 group by order_id having count(*) > 1`;
