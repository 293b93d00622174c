-- Stock that comes or goes by somebody's hand is in the trail whoever writes it down, also by hand.
create function stock_adjustment_audited() returns trigger language plpgsql as $$
begin
  insert into audit_trail (actor, action, target, detail)
  values (new.actor, 'product.adjust', 'product ' || new.product_id,
    json_build_object('delta', new.delta, 'reason', new.reason));
  return null;
end $$;
create trigger stock_adjustment_audited after insert on stock_adjustments
  for each row execute function stock_adjustment_audited();
