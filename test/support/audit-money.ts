import type { Sql } from "./system.ts";

/** Rules about money at rest: the payments, the ledger, the provider's own books, the orders and their transactions. */

interface Rule {
  readonly name: string;
  readonly text: string;
}

const withinPayments: readonly Rule[] = [
  {
    name: "money: each posting is in balance",
    text: `select posting_id, currency from ledger_entries group by posting_id, currency
           having sum(case direction when 'debit' then amount_minor else -amount_minor end) <> 0`,
  },
  {
    name: "money: the ledger says of each payment what the payment says",
    text: `select p.id, p.captured_minor, p.refunded_minor, sum(case l.direction when 'debit' then l.amount_minor
             else -l.amount_minor end) as receivable
           from payments p left join ledger_entries l on l.payment_id = p.id and l.account = 'psp_receivable'
           group by p.id
           having coalesce(sum(case l.direction when 'debit' then l.amount_minor else -l.amount_minor end), 0)
                  <> p.captured_minor - p.refunded_minor`,
  },
  {
    name: "money: the provider has taken and given back what we say, and holds nothing",
    text: `select p.id, p.status, c.status as charge, c.captured_minor, c.refunded_minor
           from payments p left join psp_simulator.charges c on c.id = p.authorisation_id
           where coalesce(c.captured_minor, 0) <> p.captured_minor or coalesce(c.refunded_minor, 0) <> p.refunded_minor
              or c.status in ('processing', 'authorised')`,
  },
  {
    name: "money: no payment is undecided, no refund under way",
    text: `select id, status from payments where held or refunding_minor <> 0 or status in ('initiated', 'reserved')
           union all select id, status from refunds where status = 'pending'`,
  },
  {
    name: "money: nothing was captured twice",
    text: `select p.order_id, count(*) from payment_attempts a join payments p on p.id = a.payment_id
           where a.operation = 'capture' and a.status = 'succeeded' group by p.order_id having count(*) > 1
           union all
           select charge_id, count(*) from psp_simulator.operations
           where operation = 'capture' and code is null group by charge_id having count(*) > 1`,
  },
];

const withinSaga: readonly Rule[] = [
  {
    name: "transactions: none is unfinished",
    text: `select id, state, wake_at from tcc_transactions
           where wake_at is not null or state not in ('CONFIRMED', 'CANCELLED')`,
  },
  {
    name: "transactions: each was begun by one request",
    text: `select t.id, r.id as answered from tcc_transactions t full join (
             select (response_data->>'transactionId')::uuid as id, (response_data->>'orderId')::uuid as order_id
             from idempotency_records where response_data->>'transactionId' is not null
           ) r on r.id = t.id and r.order_id = t.business_key
           where t.id is null or r.id is null`,
  },
];

interface Order {
  readonly id: string;
  readonly status: string;
  readonly total: number;
}

interface Payment {
  readonly id: string;
  readonly order_id: string;
  readonly gid: string;
  readonly captured: number;
  readonly refunded: number;
}

interface Transaction {
  readonly id: string;
  readonly state: string;
}

const PAID: readonly string[] = ["paid", "shipping", "completed"];
const shownMax = 5;

export async function moneyAudit(sql: Sql): Promise<string[]> {
  const found = await Promise.all([
    ...withinPayments.map((rule) => violations(sql, "payment", rule)),
    ...withinSaga.map((rule) => violations(sql, "saga", rule)),
  ]);
  const orders = await sql<Order>("order", "select id, status, total_minor::float8 as total from orders");
  const payments = await sql<Payment>(
    "payment",
    `select id, order_id, gid, captured_minor::float8 as captured, refunded_minor::float8 as refunded from payments`,
  );
  const transactions = await sql<Transaction>("saga", "select id, state from tcc_transactions");
  return [
    ...found.flat(),
    ...told("money: what is paid was captured once and in full, nothing else was kept", [
      ...orders.filter((order) => !isSettled(order, payments)).map(({ id, status }) => `${status} ${id}`),
    ]),
    ...told(
      "transactions: confirmed means captured, cancelled means not",
      transactions.filter((one) => !agrees(one, payments)).map(({ id, state }) => `${state} ${id}`),
    ),
  ];
}

function isSettled({ id, status, total }: Order, payments: readonly Payment[]): boolean {
  const captured = payments.filter((one) => one.order_id === id && one.captured > 0);
  if (PAID.includes(status)) return captured.length === 1 && captured[0]?.captured === total;
  return (
    captured.every((one) => one.captured === one.refunded) &&
    (status === "cancelled" || captured.length === 0)
  );
}

function agrees({ id, state }: Transaction, payments: readonly Payment[]): boolean {
  const captured = payments.some(({ gid, captured }) => gid === id && captured > 0);
  return captured === (state === "CONFIRMED");
}

async function violations(sql: Sql, database: "payment" | "saga", { name, text }: Rule): Promise<string[]> {
  const rows = await sql(database, text);
  return told(
    name,
    rows.map((row) => JSON.stringify(row)),
  );
}

function told(rule: string, found: readonly string[]): string[] {
  return found.length === 0
    ? []
    : [`${rule}: ${found.length} violations: ${found.slice(0, shownMax).join("; ")}`];
}
