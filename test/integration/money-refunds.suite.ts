import { randomUUID } from "node:crypto";
import { cancelled, orderOf, paid, paymentIs, paymentOf, refund, refusalOf } from "../support/money.ts";
import type { Shared } from "../support/use-system.ts";
import { threeLines } from "./money-payments.suite.ts";

/** Money back to the customer of an order that goes on. */
export function refunds(shared: () => Shared): void {
  test("of a part, and another, and the rest: each is booked, and no more than was paid", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await paid(system, await threeLines(system));
    const { paymentId } = await paymentOf(system, orderId);
    for (const [amount, status] of [
      [100, "partially_refunded"],
      [250, "partially_refunded"],
      [undefined, "refunded"],
    ] as const) {
      const asked = await refund(system, paymentId, amount);
      expect(asked).toMatchObject({
        status: 202,
        body: { paymentId, amountMinor: amount ?? totalMinor - 350, status: "processing" },
      });
      await paymentIs(system, paymentId, status);
    }
    await expect(paymentOf(system, orderId)).resolves.toMatchObject({ refundedMinor: totalMinor });
    const booked = await system.sql(
      "payment",
      `select account, direction, amount_minor::int as amount from ledger_entries
       where payment_id = $1 and account <> 'psp_receivable' order by id`,
      [paymentId],
    );
    expect(booked).toEqual([
      { account: "sales", direction: "credit", amount: totalMinor },
      { account: "refunds", direction: "debit", amount: 100 },
      { account: "refunds", direction: "debit", amount: 250 },
      { account: "refunds", direction: "debit", amount: totalMinor - 350 },
    ]);
    // What the customer keeps is between them and the shop: the order goes on.
    await expect(orderOf(system, orderId)).resolves.toMatchObject({ status: "paid" });
    expect(refusalOf(await refund(system, paymentId, 1))).toEqual({
      status: 422,
      code: "REFUND_EXCEEDS_CAPTURED",
    });
  });

  test("of more than half, asked for twice at once, is given once", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await paid(system, await threeLines(system));
    const { paymentId } = await paymentOf(system, orderId);
    const half = Math.floor(totalMinor / 2) + 1;
    const answers = await Promise.all([refund(system, paymentId, half), refund(system, paymentId, half)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 422]);
    await expect(paymentIs(system, paymentId, "partially_refunded")).resolves.toMatchObject({
      refundedMinor: half,
    });
  });

  test("asked for five times under one key is one; its answer stays the same", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await paid(system, await threeLines(system));
    const { paymentId } = await paymentOf(system, orderId);
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => refund(system, paymentId, totalMinor, { key })),
    );
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    await paymentIs(system, paymentId, "refunded");
    const later = await refund(system, paymentId, totalMinor, { key });
    expect(later).toMatchObject({ status: 202, text: answers[0]?.text });
    expect(refusalOf(await refund(system, paymentId, 1, { key }))).toEqual({
      status: 422,
      code: "IDEMPOTENCY_KEY_REUSED",
    });
  });

  test("of a part, before the order is cancelled: the cancellation gives back the rest", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await paid(system, await threeLines(system));
    const { paymentId } = await paymentOf(system, orderId);
    await refund(system, paymentId, 100);
    await cancelled(system, orderId);
    await expect(paymentIs(system, paymentId, "refunded")).resolves.toMatchObject({
      refundedMinor: totalMinor,
    });
  });
}
