import { randomUUID } from "node:crypto";

/**
 * Who may do what: one line for each route of the API, with the status that each caller is answered with. It is written
 * by hand and apart from the routes, so that a role added there by mistake is seen. A route without a line fails
 * access.suite.ts.
 */

export const CALLERS = ["owner", "other", "staff", "operator", "service"] as const;
export type Caller = (typeof CALLERS)[number];

/** What the requests are about; every name in a path that is not the route's own has its value here. */
export interface Subjects {
  readonly orderId: string;
  readonly sagaId: string;
  readonly transactionId: string;
  readonly paymentId: string;
  readonly productId: string;
  readonly customerId: string;
  readonly letterId: string;
  /** Of a global transaction that nobody has begun. */
  readonly id: string;
  readonly provider: string;
}

export interface PolicyLine {
  /** In the order of CALLERS. Anything below 300 happens, and must not happen to anybody else. */
  readonly answers: readonly [number, number, number, number, number];
  /** "own": each caller who may is given one that can be paid and cancelled. "shared": these lines have one together. */
  readonly takesOrder?: "own" | "shared";
  /** Its answer does not end by itself: only its head is looked at. */
  readonly endless?: true;
  readonly body?: (subjects: Subjects, caller: Caller) => object;
}

const items = ({ productId }: Subjects) => [{ productId, quantity: 1 }];
const basket: PolicyLine["body"] = (subjects, caller) => ({
  items: items(subjects),
  ...(caller === "staff" && { customerId: subjects.customerId }),
});

const deed: PolicyLine["body"] = () => ({ reason: "seen in the runbook" });

/** owner: the customer whose order it is; other: another customer. 404: that it is there is not told either. */
export const ACCESS: Readonly<Record<string, PolicyLine>> = {
  "POST /orders": { answers: [202, 202, 202, 403, 403], body: basket },
  "POST /orders/saga": { answers: [202, 202, 202, 403, 403], body: basket },
  "GET /orders": { answers: [200, 200, 200, 200, 403] },
  "GET /orders/:orderId": { answers: [200, 404, 200, 200, 403] },
  "GET /orders/:orderId/status": { answers: [200, 404, 200, 200, 403] },
  "GET /orders/:orderId/events": { answers: [200, 404, 200, 200, 403], endless: true },
  "GET /orders/saga/:sagaId": { answers: [200, 404, 200, 200, 403] },
  "POST /orders/:orderId/pay": {
    answers: [202, 404, 403, 403, 403],
    takesOrder: "own",
    body: () => ({ paymentMethod: "sim_ok" }),
  },
  "GET /transactions/:transactionId": { answers: [200, 404, 200, 200, 403] },
  "POST /orders/:orderId/cancel": { answers: [202, 404, 202, 403, 403], takesOrder: "own" },
  "PUT /orders/:orderId/cancel": { answers: [202, 404, 202, 403, 403], takesOrder: "own" },
  "POST /orders/:orderId/ship": { answers: [403, 403, 200, 403, 403] },
  "POST /orders/:orderId/complete": { answers: [403, 403, 200, 403, 403] },
  "GET /orders/:orderId/payments": { answers: [200, 404, 200, 200, 403] },
  "GET /payments/:paymentId": { answers: [200, 404, 200, 200, 403] },
  "POST /payments/:paymentId/refund": {
    answers: [403, 403, 202, 403, 403],
    body: () => ({ amountMinor: 1, reason: "a dent" }),
  },
  // A coordinator of one's own: refused a confirm of what it has not tried (the participant's 409), then tries, then
  // takes back.
  "POST /payments/confirm/:id": { answers: [403, 403, 403, 403, 409] },
  "POST /payments/try": {
    answers: [403, 403, 403, 403, 201],
    takesOrder: "shared",
    body: ({ id, orderId, customerId }) => ({
      gid: id,
      orderId,
      customerId,
      amountMinor: 1,
      currency: "EUR",
      paymentMethod: "sim_ok",
    }),
  },
  "POST /payments/cancel/:id": { answers: [403, 403, 403, 403, 200] },
  "POST /products/stock/confirm/:orderId": { answers: [403, 403, 403, 403, 409], takesOrder: "shared" },
  "POST /products/stock/try": {
    answers: [403, 403, 403, 403, 201],
    takesOrder: "shared",
    body: (subjects) => ({ orderId: subjects.orderId, items: items(subjects) }),
  },
  "POST /products/stock/cancel/:orderId": { answers: [403, 403, 403, 403, 200], takesOrder: "shared" },
  "GET /products": { answers: [200, 200, 200, 200, 200] },
  "GET /products/:productId": { answers: [200, 200, 200, 200, 200] },
  "GET /customers": { answers: [403, 403, 200, 403, 403] },
  "POST /customers": {
    answers: [403, 403, 201, 403, 403],
    body: () => ({ name: "Access", email: `${randomUUID()}@example.org` }),
  },
  "GET /customers/:customerId": { answers: [403, 403, 200, 403, 403] },
  // It is active already.
  "POST /customers/:customerId/activate": { answers: [403, 403, 200, 403, 403] },
  // With what it does not take it gets no further than that it may.
  "POST /customers/:customerId/deactivate": {
    answers: [403, 403, 422, 403, 403],
    body: () => ({ reason: "no" }),
  },
  "POST /products": {
    answers: [403, 403, 201, 403, 403],
    body: () => ({ sku: randomUUID(), name: "A lamp", priceMinor: 1, currency: "EUR", stock: 1 }),
  },
  "GET /products/low-stock": { answers: [403, 403, 200, 403, 403] },
  "PUT /products/:productId/stock": {
    answers: [403, 403, 200, 403, 403],
    body: () => ({ delta: 1, reason: "found behind the shelf" }),
  },
  "GET /ops/sagas": { answers: [403, 403, 403, 200, 403] },
  "GET /ops/sagas/:sagaId": { answers: [403, 403, 403, 200, 403] },
  // Of a saga and a transaction that have ended: the operator may, they cannot.
  "POST /ops/sagas/:sagaId/retry": { answers: [403, 403, 403, 409, 403], body: deed },
  "POST /ops/sagas/:sagaId/skip": { answers: [403, 403, 403, 409, 403], body: deed },
  "POST /ops/sagas/:sagaId/compensate": { answers: [403, 403, 403, 409, 403], body: deed },
  "GET /ops/transactions": { answers: [403, 403, 403, 200, 403] },
  "GET /ops/transactions/:transactionId": { answers: [403, 403, 403, 200, 403] },
  "POST /ops/transactions/:transactionId/retry": { answers: [403, 403, 403, 409, 403], body: deed },
  "POST /ops/transactions/:transactionId/force-cancel": { answers: [403, 403, 403, 409, 403], body: deed },
  "GET /ops/dead-letters": { answers: [403, 403, 403, 200, 403] },
  "POST /ops/dead-letters/redrive": {
    answers: [403, 403, 403, 200, 403],
    body: () => ({ source: "nobody-in-particular", reason: "seen in the runbook" }),
  },
  "GET /ops/dead-letters/groups": { answers: [403, 403, 403, 200, 403] },
  // One that nobody has written: the operator may look, and it is not there.
  "GET /ops/dead-letters/:letterId": { answers: [403, 403, 403, 404, 403] },
  "POST /ops/dead-letters/discard": {
    answers: [403, 403, 403, 200, 403],
    body: () => ({ source: "nobody-in-particular", reason: "seen in the runbook" }),
  },
  "GET /ops/outbox": { answers: [403, 403, 403, 200, 403] },
  "GET /ops/lag": { answers: [403, 403, 403, 200, 403] },
  "GET /ops/audit": { answers: [403, 403, 403, 200, 403] },
  "GET /ops/notifications": { answers: [403, 403, 403, 200, 403] },
  "GET /ops/notifications/endpoint": { answers: [403, 403, 403, 200, 403] },
  "POST /ops/notifications/enable": { answers: [403, 403, 403, 200, 403], body: deed },
  "POST /ops/faults": { answers: [403, 403, 403, 200, 403], body: () => ({ faults: "" }) },
  "POST /ops/tokens/revoke": {
    answers: [403, 403, 403, 200, 403],
    body: () => ({ subject: "nobody-in-particular", reason: "a lost laptop" }),
  },
};

/** Routes for outside parties that sign what they send: no token opens them. */
export const SIGNED: readonly string[] = ["POST /payments/webhooks/:provider"];
