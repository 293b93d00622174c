import { randomUUID } from "node:crypto";
import pg from "pg";
import {
  cancel,
  cancelled,
  created,
  orderIs,
  orderOf,
  paid,
  pay,
  paymentOf,
  paymentsOf,
  refusalOf,
  transactionEnded,
} from "../support/money.ts";
import { order, productId, sagaOf } from "../support/shop.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";
import { stocks, threeLines } from "./money-payments.suite.ts";

/** From wherever an order may be cancelled, and at moments when something else happens to it. */
export function cancellations(shared: () => Shared): void {
  test.each([
    { as: "customer", method: "POST", code: "CANCELLED_BY_CUSTOMER" },
    { as: "staff", method: "PUT", code: "CANCELLED_BY_STAFF" },
  ] as const)(
    "of a created order by $as ($method) gives its stock back, with the reason",
    async ({ as, method, code }) => {
      const { system } = shared();
      const lines = await threeLines(system);
      const before = await stocks(system, lines);
      const { orderId } = await created(system, lines);
      const body = { reason: "found it cheaper" };
      const answer = await system.api(`/orders/${orderId}/cancel`, { as, method, key: randomUUID(), body });
      expect(answer.status).toBe(202);
      const { timeline, ...view } = await orderIs(system, orderId, "cancelled");
      expect(view).toMatchObject({ reason: { code, message: "found it cheaper" } });
      expect(timeline.map(({ status }) => status)).toEqual(["draft", "created", "cancelling", "cancelled"]);
      await expect(stocks(system, lines)).resolves.toEqual(before);
      await expect(paymentsOf(system, orderId)).resolves.toEqual([]);
    },
  );

  test("of a paid order books the refund, gives the stock back, and cancels", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const before = await stocks(system, lines);
    const { orderId, totalMinor } = await paid(system, lines);
    const view = await cancelled(system, orderId);
    expect(view).toMatchObject({ reason: { code: "CANCELLED_BY_CUSTOMER" } });
    expect(view.timeline.map(({ status }) => status).slice(-3)).toEqual(["paid", "cancelling", "cancelled"]);
    const payment = await paymentOf(system, orderId);
    expect(payment).toMatchObject({
      status: "refunded",
      capturedMinor: totalMinor,
      refundedMinor: totalMinor,
    });
    const booked = await system.sql(
      "payment",
      "select account, direction, amount_minor::int as amount from ledger_entries where payment_id = $1 order by id",
      [payment.paymentId],
    );
    expect(booked).toEqual([
      { account: "psp_receivable", direction: "debit", amount: totalMinor },
      { account: "sales", direction: "credit", amount: totalMinor },
      { account: "refunds", direction: "debit", amount: totalMinor },
      { account: "psp_receivable", direction: "credit", amount: totalMinor },
    ]);
    await expect(stocks(system, lines)).resolves.toEqual(before);
  });

  test("of a draft turns its creation round", async () => {
    const { system } = shared();
    const vice = await productId(system, "VICE-125");
    const lines = [{ productId: vice, quantity: 1 }];
    const before = await stocks(system, lines);
    const { orderId, sagaId } = await whileStockIsLocked(system.demo.databases.product, vice, async () => {
      const placed = await order(system, lines);
      await orderIs(system, placed.orderId, "draft");
      expect(refusalOf(await pay(system, placed.orderId))).toEqual({
        status: 409,
        code: "ORDER_STATE_CONFLICT",
      });
      const answer = await cancel(system, placed.orderId);
      expect(answer).toMatchObject({ status: 202, body: { sagaId: placed.sagaId } });
      return placed;
    });
    const { timeline, reason } = await orderIs(system, orderId, "cancelled");
    expect(reason).toMatchObject({ code: "CANCELLED_BY_CUSTOMER" });
    expect(timeline.map(({ status }) => status)).toEqual(["draft", "cancelled"]);
    await until(
      "its saga has been undone",
      async () => (await sagaOf(system, sagaId)).state === "COMPENSATED",
    );
    await until("nothing is reserved", async () =>
      (await stocks(system, lines)).every((stock, index) => stock.available === before[index]?.available),
    );
  });

  test.each(["before", "after"])(
    "of a draft, whose process fails just %s it is noted, is answered when it is asked for again",
    async (side) => {
      const { system } = shared();
      const vice = await productId(system, "VICE-125");
      const key = randomUUID();
      const arm = (faults: string) =>
        system.api("/ops/faults", { as: "operator", body: { faults, service: "saga" } });
      const placed = await whileStockIsLocked(system.demo.databases.product, vice, async () => {
        const draft = await order(system, [{ productId: vice, quantity: 1 }]);
        await orderIs(system, draft.orderId, "draft");
        await arm(`saga.cancelOrder.idempotency_claim.${side}-commit=throw`);
        expect(refusalOf(await cancel(system, draft.orderId, { key }))).toMatchObject({ status: 503 });
        await arm("");
        // What was noted is done; what was not is asked for again.
        if (side === "before") expect((await cancel(system, draft.orderId, { key })).status).toBe(202);
        return draft;
      });
      await orderIs(system, placed.orderId, "cancelled");
      const answer = await cancel(system, placed.orderId, { key });
      expect(answer).toMatchObject({ status: 202, body: { sagaId: placed.sagaId } });
    },
  );

  test("asked for five times at once under one key happens once; the money goes back once", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await paid(system, await threeLines(system));
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 5 }, () => cancel(system, orderId, { key })));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    const { timeline } = await orderIs(system, orderId, "cancelled");
    expect(timeline.filter(({ status }) => status === "cancelled")).toHaveLength(1);
    await expect(paymentOf(system, orderId)).resolves.toMatchObject({ refundedMinor: totalMinor });
    // Under another key it is too late.
    expect(refusalOf(await cancel(system, orderId))).toEqual({ status: 409, code: "ORDER_STATE_CONFLICT" });
  });

  test("asked for five times at once under five keys happens once; the others are told so", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await paid(system, await threeLines(system));
    const answers = await Promise.all(Array.from({ length: 5 }, () => cancel(system, orderId)));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    for (const answer of answers.filter(({ status }) => status !== 202))
      expect(refusalOf(answer)).toEqual({ status: 409, code: "ORDER_STATE_CONFLICT" });
    await orderIs(system, orderId, "cancelled");
    await expect(paymentOf(system, orderId)).resolves.toMatchObject({ refundedMinor: totalMinor });
  });

  test("and a payment at the same moment end as one of them wants, money and all", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const orders = await Promise.all(Array.from({ length: 8 }, () => created(system, lines)));
    await Promise.all(
      orders.map(async ({ orderId }) => {
        const [payment, cancellation] = await Promise.all([pay(system, orderId), cancel(system, orderId)]);
        for (const answer of [payment, cancellation])
          if (answer.status !== 202)
            expect(refusalOf(answer)).toEqual({ status: 409, code: "ORDER_STATE_CONFLICT" });
        if (payment.status === 202) await transactionEnded(system, String(payment.body?.transactionId));
        const wanted = cancellation.status === 202 ? ["cancelled", "paid"] : ["paid", "created"];
        const view = await until(
          "the order has come to rest",
          async () => {
            const now = await orderOf(system, orderId);
            return now.status === "cancelling" || now.status === "paying" ? undefined : now;
          },
          { timeoutMs: 60_000 },
        );
        expect(wanted).toContain(view.status);
        const kept = (await paymentsOf(system, orderId)).reduce(
          (sum, { capturedMinor, refundedMinor }) => sum + capturedMinor - refundedMinor,
          0,
        );
        expect(kept).toBe(view.status === "paid" ? view.totalMinor : 0);
      }),
    );
  });
}

/** As long as the work takes nobody can reserve that product, so that its orders stay drafts. */
async function whileStockIsLocked<Result>(
  url: string,
  product: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("begin");
    await client.query("select 1 from products where id = $1 for update", [product]);
    return await work();
  } finally {
    // Its transaction ends with it.
    await client.end();
  }
}
