import { type Dossier, type Part, type Payment, readDossiers, tablesMissing } from "./dossiers.ts";
import type { Findings, Invariant } from "./findings.ts";
import type { World } from "./world.ts";

/**
 * What one service says of an order fits what the others say: I5, and those parts of I1, I4 and I6 that concern more
 * than one database. Databases are read a moment apart, so all of this is looked at again before it is reported.
 */

type Tell = (invariant: Invariant, rule: string, problem: string, subject?: string) => void;
type Rule = (dossier: Dossier, tell: Tell) => void;

const PAID: ReadonlySet<string> = new Set(["paid", "shipping", "completed"]);
const CAPTURED: ReadonlySet<string> = new Set(["captured", "partially_refunded", "refunded"]);

/** What the reservation of an order with this status is; in any other status it may be on its way. */
const HOLDS: Readonly<Record<string, readonly string[]>> = {
  created: ["RESERVED", "HELD"],
  paying: ["RESERVED", "HELD", "CONFIRMED"],
  paid: ["CONFIRMED"],
  shipping: ["CONFIRMED"],
  completed: ["CONFIRMED"],
};

const sagaEnded = (state: string) => state === "COMPLETED" || state === "COMPENSATED";
const transactionEnded = (state: string) => state === "CONFIRMED" || state === "CANCELLED";
const isPaidFor = ({ transactions }: Dossier) => transactions.some(({ state }) => !transactionEnded(state));
const isWorkedOn = ({ sagas }: Dossier) => sagas.some(({ state }) => !sagaEnded(state));
const inHand = ({ captured, refunded }: Payment) => captured !== refunded;

/** The reservation fits the order's status. */
const reservationFits: Rule = (dossier, tell) => {
  const { order, reservation } = dossier;
  if (order === undefined) return;
  const expected = HOLDS[order.status];
  if (expected === undefined) {
    if (order.status === "cancelled" && reservation?.lines != null)
      tell("I5", "cancelled holds", `is cancelled and still holds ${reservation.lines}`);
    return;
  }
  const status = reservation?.status ?? "missing";
  // A confirmed payment's stock follows within its transaction; a released one's order within the grace.
  if (status === "HELD" && isPaidFor(dossier)) return;
  if (status === "EXPIRED" && reservation?.settled === false) return;
  if (!expected.includes(status))
    tell("I5", "reservation", `is ${order.status}, its reservation is ${status}`);
  else if (reservation?.lines !== order.lines)
    tell("I5", "lines", `consists of ${order.lines}, its reservation of ${reservation?.lines}`);
};

/** One capture for a paid order, none that was not given back for any other, and never two. */
const paidOnce: Rule = (dossier, tell) => {
  const { order, payments } = dossier;
  const captured = payments.filter(({ status }) => CAPTURED.has(status));
  const ids = captured.map(({ id }) => id).join(", ");
  if (captured.length > 1) tell("I5", "captures", `was paid ${captured.length} times: payments ${ids}`);
  if (order === undefined) return;
  const { status } = order;
  if (PAID.has(status) && captured.length === 0)
    tell("I5", "captures", `is ${status} and no payment was captured`);
  if (PAID.has(status) || !captured.some(inHand)) return;
  if (status === "cancelled")
    tell("I5", "captures", `is cancelled and payment ${ids} was not refunded in full`);
  if ((status === "draft" || status === "created") && !isPaidFor(dossier))
    tell("I5", "captures", `is ${status} and payment ${ids} was captured`);
};

/** What was captured is what the order costs. */
const paidInFull: Rule = ({ order, payments }, tell) => {
  if (order === undefined || !PAID.has(order.status)) return;
  const [payment, second] = payments.filter(({ status }) => CAPTURED.has(status));
  if (payment === undefined || second !== undefined) return;
  if (payment.captured === order.total && payment.currency === order.currency) return;
  const { id, captured, currency } = payment;
  tell(
    "I1",
    "total",
    `costs ${order.total} ${order.currency}, payment ${id} captured ${captured} ${currency}`,
  );
};

/** All confirmed or all cancelled. */
const transactionsFit: Rule = ({ orderId, order, transactions, payments }, tell) => {
  for (const { id, state } of transactions) {
    const payment = payments.find(({ gid }) => gid === id);
    const say = (problem: string) => tell("I5", id, `${problem} (order ${orderId})`, `transaction ${id}`);
    if (state === "CANCELLED" && payment !== undefined && CAPTURED.has(payment.status))
      say(`is CANCELLED and its payment ${payment.id} is ${payment.status}`);
    if (state !== "CONFIRMED") continue;
    if (payment !== undefined && !CAPTURED.has(payment.status))
      say(`is CONFIRMED and its payment ${payment.id} is ${payment.status}`);
    else if (order === undefined || ["draft", "created", "paying"].includes(order.status))
      say(`is CONFIRMED and its order is ${order?.status ?? "missing"}`);
  }
};

/** Whoever holds something for a while is still being worked on. */
const holdsEnd: Rule = (dossier, tell) => {
  const { order, reservation, transactions, payments } = dossier;
  const paidFor = isPaidFor(dossier);
  if (reservation?.status === "HELD" && !paidFor && (reservation.expired || transactions.length > 0))
    tell("I4", "held", "its stock is held for a payment, and no transaction works on it");
  for (const payment of payments) {
    if (payment.status !== "initiated" && payment.status !== "reserved") continue;
    const transaction = transactions.find(({ id }) => id === payment.gid);
    const ended = transaction === undefined ? payment.expired : transactionEnded(transaction.state);
    const why = transaction === undefined ? "its time is over" : `its transaction is ${transaction.state}`;
    if (ended) tell("I4", "payment", `is still ${payment.status}, and ${why}`, `payment ${payment.id}`);
  }
  if (order?.status === "cancelling" && !isWorkedOn(dossier))
    tell("I4", "cancelling", "is being cancelled, and no saga works on it");
  if (order?.status === "draft" && !isWorkedOn(dossier))
    tell("I4", "draft", "is a draft, and no saga works on it");
};

/** Only where there are transactions at all. */
const payingEnds: Rule = (dossier, tell) => {
  if (dossier.order?.status === "paying" && !isPaidFor(dossier))
    tell("I4", "paying", "is being paid, and no transaction works on it");
};

/** What a saga was to bring about is there when it has ended. */
const sagasHadEffect: Rule = ({ orderId, order, sagas }, tell) => {
  const status = order?.status ?? "missing";
  for (const { id, saga_type: type, state } of sagas) {
    const say = (problem: string) => tell("I6", id, problem, `saga ${id}`);
    if (type === "CREATE_ORDER" && order !== undefined && order.saga_id !== id)
      say(`creates order ${orderId}, which names saga ${order.saga_id}`);
    else if (type === "CREATE_ORDER" && state === "COMPLETED" && (order === undefined || status === "draft"))
      say(`is COMPLETED, its order ${orderId} is ${status}`);
    else if (
      type === "CREATE_ORDER" &&
      state === "COMPENSATED" &&
      order !== undefined &&
      status !== "cancelled"
    )
      say(`is COMPENSATED, its order ${orderId} is ${status}`);
    else if (type === "CANCEL_ORDER" && state === "COMPLETED" && status !== "cancelled")
      say(`is COMPLETED, its order ${orderId} is ${status}`);
  }
};

/** Each rule with the parts of a dossier that it cannot do without, and the invariant that it belongs to. */
const RULES: readonly { rule: Rule; needs: readonly Part[]; of: Invariant }[] = [
  { rule: reservationFits, needs: ["order", "product"], of: "I5" },
  { rule: paidOnce, needs: ["order", "payment"], of: "I5" },
  { rule: paidInFull, needs: ["order", "payment"], of: "I1" },
  { rule: transactionsFit, needs: ["order", "transaction"], of: "I5" },
  { rule: holdsEnd, needs: ["order", "product", "saga"], of: "I4" },
  { rule: payingEnds, needs: ["order", "transaction"], of: "I4" },
  { rule: sagasHadEffect, needs: ["order", "saga"], of: "I6" },
];

export async function checkAgreement(world: World, findings: Findings): Promise<void> {
  const rules: Rule[] = [];
  for (const { rule, needs, of } of RULES) {
    const missing = needs.flatMap((part) => tablesMissing(world, part));
    if (missing.length === 0) rules.push(rule);
    else findings.notThere(of, missing);
  }
  const hasPayments = tablesMissing(world, "payment").length === 0;
  await readDossiers(world, (dossier) => {
    count(findings, dossier, hasPayments);
    const tell: Tell = (invariant, rule, problem, subject = `order ${dossier.orderId}`) =>
      findings.suspect({ invariant, rule, subject, problem });
    for (const rule of rules) rule(dossier, tell);
  });
}

function count(findings: Findings, { order, reservation, payments }: Dossier, hasPayments: boolean): void {
  if (order !== undefined) findings.looked("I5", "orders", 1);
  if (reservation !== undefined) findings.looked("I5", "reservations", 1);
  if (!hasPayments) return;
  findings.looked("I5", "payments", payments.length);
  findings.looked("I1", "paid orders", order !== undefined && PAID.has(order.status) ? 1 : 0);
}
