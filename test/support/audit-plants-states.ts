import type { Plant } from "./audit-plant.ts";
import { ID, paymentOf, refundOf, sagaOf, transactionOf } from "./audit-stories.ts";
import { uuid } from "./audit-tables.ts";

/** Violations within one service: money, stock, deadlines, histories. */

const MONEY: readonly Plant[] = [
  {
    name: "a posting whose debit and credit differ",
    invariant: "I1",
    statements: {
      payment: `update ledger_entries set amount_minor = 1501
                where payment_id = '${paymentOf(ID.paid)}' and direction = 'credit'`,
    },
    subjects: [`payment ${paymentOf(ID.paid)}`],
  },
  {
    name: "a payment that says something else than the ledger",
    invariant: "I1",
    statements: {
      payment: `update ledger_entries set amount_minor = 1400 where payment_id = '${paymentOf(ID.paid)}'`,
    },
    subjects: [`payment ${paymentOf(ID.paid)}`],
  },
  {
    name: "an order that was paid with another amount than it costs",
    invariant: "I1",
    statements: {
      payment: `update ledger_entries set amount_minor = 1400 where payment_id = '${paymentOf(ID.paid)}';
                update payments set amount_minor = 1400, captured_minor = 1400 where order_id = '${ID.paid}'`,
    },
    subjects: [`order ${ID.paid}`],
  },
  {
    name: "a refund that was booked with another amount",
    invariant: "I1",
    statements: { payment: `update refunds set amount_minor = 999 where id = '${refundOf(ID.completed)}'` },
    subjects: [`refund ${refundOf(ID.completed)}`],
  },
];

const STOCK: readonly Plant[] = [
  {
    name: "a unit of stock that came from nowhere",
    invariant: "I2",
    statements: { product: `update products set available = available + 1 where id = '${ID.nails}'` },
    subjects: [`product ${ID.nails}`],
  },
  {
    name: "a reserved unit that nobody has reserved",
    invariant: "I2",
    statements: {
      product: `update products set available = available - 1, reserved = reserved + 1 where id = '${ID.lamps}'`,
    },
    subjects: [`product ${ID.lamps}`],
  },
  {
    name: "stock below zero",
    invariant: "I3",
    statements: {
      product: `alter table products drop constraint products_available_check;
                update products set available = -1 where id = '${ID.lamps}';
                insert into stock_adjustments values ('${uuid(0xadf)}', '${ID.lamps}', -8, 'counted', 'plant')`,
    },
    subjects: [`product ${ID.lamps}`],
  },
  {
    name: "more sold than there ever was",
    invariant: "I3",
    statements: {
      product: `alter table products drop constraint products_available_check;
                update products set available = -5 where id = '${ID.nails}';
                insert into stock_adjustments values ('${uuid(0xadf)}', '${ID.nails}', -89, 'counted', 'plant')`,
    },
    subjects: [`product ${ID.nails}`],
  },
];

const DEADLINES: readonly Plant[] = [
  {
    name: "a saga that nobody has taken on for an hour",
    invariant: "I4",
    statements: {
      saga: `update saga_instances set state = 'RUNNING', wake_at = now() - interval '1 hour'
             where id = '${sagaOf(ID.created)}'`,
    },
    subjects: [`saga ${sagaOf(ID.created)}`],
  },
  {
    name: "a saga that is stuck",
    invariant: "I4",
    statements: {
      saga: `update saga_instances set state = 'STUCK', wake_at = now() + interval '5 min'
             where id = '${sagaOf(ID.refused)}'`,
    },
    subjects: [`saga ${sagaOf(ID.refused)}`],
  },
  {
    name: "a transaction that was not decided in time",
    invariant: "I4",
    statements: {
      saga: `update tcc_transactions set expires_at = now() - interval '1 hour' where business_key = '${ID.paying}'`,
    },
    subjects: [`transaction ${transactionOf(ID.paying)}`],
  },
  {
    name: "a reservation that should have been given back",
    invariant: "I4",
    statements: {
      product: `update order_reservations set expires_at = now() - interval '1 hour' where order_id = '${ID.created}'`,
    },
    subjects: [`order ${ID.created}`],
  },
  {
    name: "a payment on hold that no transaction waits for",
    invariant: "I4",
    statements: {
      payment: `update payments set gid = null, created_at = now() - interval '1 hour' where order_id = '${ID.paying}'`,
    },
    subjects: [`payment ${paymentOf(ID.paying)}`],
  },
  {
    name: "an order, its stock and its payment, left behind by their transaction",
    invariant: "I4",
    statements: {
      saga: `update tcc_transactions set state = 'CANCELLED', wake_at = null where business_key = '${ID.paying}'`,
    },
    subjects: [`order ${ID.paying}`, `order ${ID.paying}`, `payment ${paymentOf(ID.paying)}`],
  },
];

const HISTORIES: readonly Plant[] = [
  {
    name: "a way that no order may go",
    invariant: "I9",
    statements: {
      order: `update order_status_history set status = 'shipping' where order_id = '${ID.cancelled}' and version = 5`,
    },
    subjects: [`order ${ID.cancelled}`],
  },
  {
    name: "a history that does not begin with the draft",
    invariant: "I9",
    statements: {
      order: `delete from order_status_history where order_id = '${ID.created}' and version = 1`,
    },
    subjects: [`order ${ID.created}`],
  },
  {
    name: "an order that is not where its history ends",
    invariant: "I9",
    statements: { order: `update orders set version = 3 where id = '${ID.created}'` },
    subjects: [`order ${ID.created}`],
  },
  {
    name: "a total that is not the sum of the lines",
    invariant: "I9",
    statements: {
      order: `update order_items set price_minor = price_minor + 1 where order_id = '${ID.created}' and line = 1`,
    },
    subjects: [`order ${ID.created}`],
  },
];

export const STATE_PLANTS: readonly Plant[] = [...MONEY, ...STOCK, ...DEADLINES, ...HISTORIES];
