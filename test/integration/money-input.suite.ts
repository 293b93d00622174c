import { randomUUID } from "node:crypto";
import { atRest } from "../support/audit.ts";
import { fingerprint } from "../support/fingerprint.ts";
import {
  cancelled,
  created,
  paid,
  paymentIs,
  paymentOf,
  refund,
  refusalOf,
  settled,
} from "../support/money.ts";
import type { ApiRequest, System } from "../support/system.ts";
import type { Shared } from "../support/use-system.ts";
import { threeLines } from "./money-payments.suite.ts";

/** Orders and payments that wrong requests are about. */
interface Facts {
  readonly created: string;
  readonly paid: string;
  readonly cancelled: string;
  readonly completed: string;
  readonly payment: string;
  readonly declinedPayment: string;
  readonly refundedPayment: string;
  readonly transaction: string;
}

interface Refusal {
  readonly name: string;
  readonly path: (facts: Facts) => string;
  readonly request?: ApiRequest;
  readonly status: number;
  readonly code: string;
}

const CONFLICT = { status: 409, code: "ORDER_STATE_CONFLICT" };
const NO_ORDER = { status: 404, code: "ORDER_NOT_FOUND" };
const FORBIDDEN = { status: 403, code: "FORBIDDEN" };
const INVALID = { status: 422, code: "VALIDATION_FAILED" };
const unknown = randomUUID();
const card = { body: { paymentMethod: "sim_ok" } };
const reason = "because";

const toPay = (
  name: string,
  order: (facts: Facts) => string,
  answer: { status: number; code: string },
  request = {},
) => ({
  name: `pay ${name}`,
  path: (facts: Facts) => `/orders/${order(facts)}/pay`,
  request: { ...card, ...request },
  ...answer,
});
const toCancel = (
  name: string,
  order: (facts: Facts) => string,
  answer: { status: number; code: string },
  request = {},
) => ({
  name: `cancel ${name}`,
  path: (facts: Facts) => `/orders/${order(facts)}/cancel`,
  request: { body: {}, ...request },
  ...answer,
});
const toMove = (
  verb: string,
  order: keyof Facts,
  answer: { status: number; code: string },
  request = {},
) => ({
  name: `${verb} an order that is ${order}`,
  path: (facts: Facts) => `/orders/${facts[order]}/${verb}`,
  request: { as: "staff" as const, body: {}, ...request },
  ...answer,
});
const toRefund = (
  name: string,
  body: object,
  answer: { status: number; code: string },
  of: keyof Facts = "payment",
) => ({
  name: `refund ${name}`,
  path: (facts: Facts) => `/payments/${facts[of]}/refund`,
  request: { as: "staff" as const, body },
  ...answer,
});

const EXCEEDS = { status: 422, code: "REFUND_EXCEEDS_CAPTURED" };

const refusals: readonly Refusal[] = [
  toPay("an unknown order", () => unknown, NO_ORDER),
  toPay("what cannot be an order", () => "1%27--", NO_ORDER),
  toPay("the order of another", ({ created }) => created, NO_ORDER, { as: "otherCustomer" }),
  toPay("a cancelled order", ({ cancelled }) => cancelled, CONFLICT),
  toPay("a paid order", ({ paid }) => paid, CONFLICT),
  toPay("a completed order", ({ completed }) => completed, CONFLICT),
  toPay("for a customer, as staff", ({ created }) => created, FORBIDDEN, { as: "staff" }),
  toPay(
    "without a key",
    ({ created }) => created,
    { status: 400, code: "IDEMPOTENCY_KEY_MISSING" },
    { key: undefined },
  ),
  toPay("with nothing", ({ created }) => created, INVALID, { body: {} }),
  toPay("with a method of spaces", ({ created }) => created, INVALID, { body: { paymentMethod: " " } }),
  toPay("a price of one's own", ({ created }) => created, INVALID, {
    body: { paymentMethod: "sim_ok", amountMinor: 1 },
  }),
  toCancel("an unknown order", () => unknown, NO_ORDER),
  toCancel("the order of another", ({ paid }) => paid, NO_ORDER, { as: "otherCustomer" }),
  toCancel("a cancelled order", ({ cancelled }) => cancelled, CONFLICT),
  toCancel("a completed order", ({ completed }) => completed, CONFLICT),
  toCancel(
    "without a key",
    ({ paid }) => paid,
    { status: 400, code: "IDEMPOTENCY_KEY_MISSING" },
    { key: undefined },
  ),
  toCancel("with a reason that is none", ({ paid }) => paid, INVALID, { body: { reason: 1 } }),
  toMove("ship", "created", CONFLICT),
  toMove("ship", "cancelled", CONFLICT),
  toMove("complete", "paid", CONFLICT),
  toMove("ship", "paid", FORBIDDEN, { as: "customer" }),
  toRefund("nothing", { amountMinor: 0, reason }, INVALID),
  toRefund("less than nothing", { amountMinor: -1, reason }, INVALID),
  toRefund("half a cent", { amountMinor: 0.5, reason }, INVALID),
  toRefund("a text", { amountMinor: "1", reason }, INVALID),
  toRefund("without a reason", { amountMinor: 1 }, INVALID),
  toRefund("more than was captured", { amountMinor: 100_000_000, reason }, EXCEEDS),
  toRefund("what was refunded", { amountMinor: 1, reason }, EXCEEDS, "refundedPayment"),
  toRefund("all of what was refunded", { reason }, EXCEEDS, "refundedPayment"),
  toRefund("what was declined", { reason }, { status: 409, code: "PAYMENT_NOT_CAPTURED" }, "declinedPayment"),
  {
    name: "refund an unknown payment",
    path: () => `/payments/${unknown}/refund`,
    request: { as: "staff", body: { reason } },
    status: 404,
    code: "PAYMENT_NOT_FOUND",
  },
  {
    name: "refund to oneself",
    path: ({ payment }) => `/payments/${payment}/refund`,
    request: { body: { reason } },
    ...FORBIDDEN,
  },
  {
    name: "authorise as a customer",
    path: () => "/payments/try",
    request: card,
    ...FORBIDDEN,
  },
];

/** Each is told by its documented code, and changes nothing at all. */
export function wrongRequests(shared: () => Shared): void {
  let facts: Facts;
  beforeAll(async () => {
    facts = await prepare(shared().system);
  }, 120_000);

  test.each(refusals)("is refused: to $name", async ({ path, request, status, code }) => {
    const { system } = shared();
    const before = await fingerprint(system);
    const answer = await system.api(path(facts), { method: "POST", key: randomUUID(), ...request });
    expect(refusalOf(answer)).toEqual({ status, code });
    await expect(fingerprint(system)).resolves.toEqual(before);
  });

  test("is not there for others: payments and transactions", async () => {
    const { system } = shared();
    for (const path of [
      `/payments/${facts.payment}`,
      `/orders/${facts.paid}/payments`,
      `/transactions/${facts.transaction}`,
    ]) {
      expect(await system.api(path)).toMatchObject({ status: 200 });
      expect(await system.api(path, { as: "otherCustomer" })).toMatchObject({ status: 404 });
    }
  });
}

async function prepare(system: System): Promise<Facts> {
  const lines = await threeLines(system);
  const [one, two, three, four, five] = [
    await created(system, lines),
    await paid(system, lines),
    await paid(system, lines),
    await paid(system, lines),
    await created(system, lines),
  ];
  const { transactionId } = await settled(system, one.orderId, "sim_declined");
  const [declined, payment, refunded] = [
    await paymentOf(system, one.orderId),
    await paymentOf(system, two.orderId),
    await paymentOf(system, four.orderId),
  ];
  await cancelled(system, five.orderId);
  for (const verb of ["ship", "complete"])
    await system.api(`/orders/${three.orderId}/${verb}`, { as: "staff", key: randomUUID(), body: {} });
  await refund(system, refunded.paymentId);
  await paymentIs(system, refunded.paymentId, "refunded");
  await atRest(system.sql);
  return {
    created: one.orderId,
    paid: two.orderId,
    completed: three.orderId,
    cancelled: five.orderId,
    payment: payment.paymentId,
    declinedPayment: declined.paymentId,
    refundedPayment: refunded.paymentId,
    transaction: transactionId,
  };
}
