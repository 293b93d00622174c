import type { Plant } from "./audit-plant.ts";
import { cancellationOf, ID, paymentOf, refundOf, sagaOf, transactionOf } from "./audit-stories.ts";
import { uuid } from "./audit-tables.ts";

/** Violations between services, and of what clients were told. */

const cancelledPayment = paymentOf(ID.cancelled);

const AGREEMENT: readonly Plant[] = [
  {
    name: "a paid order without a payment",
    invariant: "I5",
    statements: {
      payment: `delete from ledger_entries where payment_id = '${paymentOf(ID.paid)}';
                delete from payment_attempts where payment_id = '${paymentOf(ID.paid)}';
                delete from payments where order_id = '${ID.paid}'`,
    },
    subjects: [`order ${ID.paid}`],
  },
  {
    name: "an order that was paid twice",
    invariant: "I5",
    statements: {
      payment: `insert into payments select '${uuid(0x999)}', order_id, customer_id, null, status, amount_minor,
                  captured_minor, refunded_minor, currency from payments where order_id = '${ID.paid}';
                insert into ledger_entries (payment_id, account, direction, amount_minor, currency)
                  select '${uuid(0x999)}', account, direction, amount_minor, currency
                  from ledger_entries where payment_id = '${paymentOf(ID.paid)}'`,
    },
    subjects: [`order ${ID.paid}`],
  },
  {
    name: "a payment that was captured twice",
    invariant: "I5",
    statements: {
      payment: `insert into payment_attempts select '${uuid(0x998)}', payment_id, operation, status, amount_minor
                from payment_attempts where payment_id = '${paymentOf(ID.paid)}' and operation = 'capture'`,
    },
    subjects: [`payment ${paymentOf(ID.paid)}`],
  },
  {
    name: "a cancelled order whose money was kept",
    invariant: "I5",
    statements: {
      payment: `update payments set status = 'captured', refunded_minor = 0 where id = '${cancelledPayment}';
                delete from ledger_entries where refund_id = '${refundOf(ID.cancelled)}';
                delete from refunds where id = '${refundOf(ID.cancelled)}'`,
    },
    subjects: [`order ${ID.cancelled}`],
  },
  {
    name: "an order that waits for its payment without its stock",
    invariant: "I5",
    statements: {
      product: `update order_reservations set status = 'EXPIRED', updated_at = now() - interval '10 min'
                  where order_id = '${ID.created}';
                update stock_reservations set status = 'EXPIRED' where order_id = '${ID.created}';
                update products set available = available + 2, reserved = reserved - 2 where id = '${ID.nails}';
                update products set available = available + 1, reserved = reserved - 1 where id = '${ID.lamps}'`,
    },
    subjects: [`order ${ID.created}`],
  },
  {
    name: "an order of which one line was not reserved",
    invariant: "I5",
    statements: {
      product: `delete from stock_reservations where order_id = '${ID.created}' and product_id = '${ID.lamps}';
                update products set available = available + 1, reserved = reserved - 1 where id = '${ID.lamps}'`,
    },
    subjects: [`order ${ID.created}`],
  },
  {
    name: "a confirmed transaction whose order went back",
    invariant: "I5",
    statements: {
      saga: `update tcc_transactions set state = 'CONFIRMED', wake_at = null where business_key = '${ID.paying}'`,
      order: `update orders set status = 'created', version = 4 where id = '${ID.paying}';
              insert into order_status_history (order_id, version, status) values ('${ID.paying}', 4, 'created')`,
      product: `update order_reservations set status = 'RESERVED' where order_id = '${ID.paying}';
                update stock_reservations set status = 'RESERVED' where order_id = '${ID.paying}'`,
      payment: `update payments set status = 'voided' where order_id = '${ID.paying}'`,
    },
    subjects: [`transaction ${transactionOf(ID.paying)}`],
  },
];

const REQUESTS: readonly Plant[] = [
  {
    name: "an answer that names a saga which does not exist",
    invariant: "I6",
    statements: { saga: `delete from saga_instances where id = '${sagaOf(ID.created)}'` },
    subjects: [`request create-${ID.created} of ${ID.customer}`],
  },
  {
    name: "an answer that names a transaction which does not exist",
    invariant: "I6",
    statements: { saga: `delete from tcc_transactions where business_key = '${ID.completed}'` },
    subjects: [`request pay-${ID.completed} of ${ID.customer}`],
  },
  {
    name: "an accepted order that is lost",
    invariant: "I6",
    statements: {
      order: `delete from orders where id = '${ID.created}'; delete from order_items where order_id = '${ID.created}';
              delete from order_status_history where order_id = '${ID.created}'`,
    },
    subjects: [`saga ${sagaOf(ID.created)}`],
  },
  {
    name: "a request that had its effect twice",
    invariant: "I6",
    statements: {
      saga: `insert into saga_instances (id, saga_type, state, attempt, version, published, business_key, owner_id,
               correlation_id, input, progress)
             values ('${uuid(0x555)}', 'CREATE_ORDER', 'COMPLETED', 0, 9, 0, '${ID.created}', '${ID.customer}', 'plant',
               '{}', '{}')`,
    },
    subjects: [`order ${ID.created}`, `saga ${uuid(0x555)}`],
  },
  {
    name: "a cancellation that was acknowledged and did not happen",
    invariant: "I6",
    statements: {
      saga: `update saga_instances set business_key = '${ID.created}', published = 2
             where id = '${cancellationOf(ID.cancelled)}'`,
    },
    subjects: [`saga ${cancellationOf(ID.cancelled)}`],
  },
];

export const AGREEMENT_PLANTS: readonly Plant[] = [...AGREEMENT, ...REQUESTS];
