import { randomUUID } from "node:crypto";
import { decodeJwt } from "jose";
import {
  created,
  orderIs,
  orderOf,
  paid,
  pay,
  paymentOf,
  paymentsOf,
  refusalOf,
  settled,
  transactionEnded,
} from "../support/money.ts";
import { productId, stockOf } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import type { Shared } from "../support/use-system.ts";

const statuses = ({ timeline }: { timeline: readonly { status: string }[] }) =>
  timeline.map(({ status }) => status);

export const threeLines = async (system: System) =>
  (await Promise.all(["HAMMER-16", "SAW-RIP-500", "TAPE-5M"].map((sku) => productId(system, sku)))).map(
    (id, index) => ({ productId: id, quantity: index + 1 }),
  );

export const stocks = (system: System, lines: readonly { productId: string }[]) =>
  Promise.all(lines.map((line) => stockOf(system, line.productId)));

/** Order, pay, ship, complete; and what becomes of an order whose payment is refused. */
export function payments(shared: () => Shared): void {
  test("is paid: the money is captured once and in full, the stock is sold", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const before = await stocks(system, lines);
    const { orderId, totalMinor, currency } = await created(system, lines);
    const answer = await pay(system, orderId);
    const transactionId = String(answer.body?.transactionId);
    expect(answer).toMatchObject({
      status: 202,
      headers: { location: `/api/transactions/${transactionId}` },
      body: { transactionId, orderId, status: "processing" },
    });
    const { participants, ...transaction } = await transactionEnded(system, transactionId);
    expect(transaction).toMatchObject({ type: "PAY_ORDER", orderId, state: "CONFIRMED" });
    expect(participants.map(({ name, state }) => `${name} ${state}`).sort()).toEqual([
      "order CONFIRMED",
      "payment CONFIRMED",
      "product CONFIRMED",
    ]);
    const order = await orderOf(system, orderId);
    expect(order).toMatchObject({ status: "paid" });
    expect(statuses(order)).toEqual(["draft", "created", "paying", "paid"]);
    const payment = await paymentOf(system, orderId);
    expect(payment).toMatchObject({ status: "captured", amountMinor: totalMinor, capturedMinor: totalMinor });
    expect(payment).toMatchObject({ orderId, currency, refundedMinor: 0 });
    const after = before.map((stock, index) => ({
      ...stock,
      available: stock.available - (index + 1),
      sold: stock.sold + index + 1,
    }));
    await expect(stocks(system, lines)).resolves.toEqual(after);
  });

  test("whose card is declined is created again with the reason, holds its stock, and can be paid after all", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const { orderId } = await created(system, lines);
    const reserved = await stocks(system, lines);
    await expect(settled(system, orderId, "sim_declined")).resolves.toMatchObject({
      state: "CANCELLED",
      error: { code: "PAYMENT_DECLINED" },
    });
    const order = await orderOf(system, orderId);
    expect(order).toMatchObject({ status: "created", reason: { code: "PAYMENT_DECLINED" } });
    await expect(paymentOf(system, orderId)).resolves.toMatchObject({ status: "failed", capturedMinor: 0 });
    await expect(stocks(system, lines)).resolves.toEqual(reserved);
    await expect(settled(system, orderId)).resolves.toMatchObject({ state: "CONFIRMED" });
    await expect(orderOf(system, orderId)).resolves.toMatchObject({ status: "paid" });
    const found = (await paymentsOf(system, orderId)).map(({ status }) => status).sort();
    expect(found).toEqual(["captured", "failed"]);
  });

  test("whose capture is declined goes all the way back, with the reason, and nothing is held at the provider", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const { orderId } = await created(system, lines);
    const reserved = await stocks(system, lines);
    const transaction = await settled(system, orderId, "sim_capture_declined");
    expect(transaction).toMatchObject({ state: "CANCELLED", error: { code: "PAYMENT_DECLINED" } });
    expect(transaction.participants.map(({ state }) => state)).toEqual(
      transaction.participants.map(() => "CANCELLED"),
    );
    const order = await orderOf(system, orderId);
    expect(order).toMatchObject({ status: "created", reason: { code: "PAYMENT_DECLINED" } });
    expect(statuses(order)).toEqual(["draft", "created", "paying", "created"]);
    await expect(stocks(system, lines)).resolves.toEqual(reserved);
    const { paymentId, ...payment } = await paymentOf(system, orderId);
    expect(payment).toMatchObject({ status: "failed", capturedMinor: 0, refundedMinor: 0 });
    const charges = await system.sql(
      "payment",
      `select c.status, c.captured_minor::int as captured
       from psp_simulator.charges c join payments p on p.authorisation_id = c.id where p.id = $1`,
      [paymentId],
    );
    expect(charges).toEqual([{ status: "voided", captured: 0 }]);
  });

  test("is shipped and completed by the staff once it is paid, and each of that twice is once", async () => {
    const { system } = shared();
    const { orderId } = await paid(system, await threeLines(system));
    const move = (verb: string) =>
      system.api(`/orders/${orderId}/${verb}`, { as: "staff", key: randomUUID(), body: {} });
    for (const [verb, status] of [
      ["ship", "shipping"],
      ["ship", "shipping"],
      ["complete", "completed"],
      ["complete", "completed"],
    ] as const) {
      expect(await move(verb)).toMatchObject({ status: 200, body: { orderId, status } });
    }
    const order = await orderIs(system, orderId, "completed");
    expect(statuses(order)).toEqual(["draft", "created", "paying", "paid", "shipping", "completed"]);
    expect(refusalOf(await move("ship"))).toEqual({ status: 409, code: "ORDER_STATE_CONFLICT" });
    const trail = await system.api(`/ops/audit?targetId=${orderId}`, { as: "operator" });
    const done = {
      service: "order",
      actor: decodeJwt(system.demo.tokens.staff).sub,
      target: `order ${orderId}`,
    };
    expect(trail.body).toMatchObject({
      items: [
        { ...done, action: "order.complete" },
        { ...done, action: "order.ship" },
      ],
    });
  });

  test("is asked ten times under one key to be paid: one transaction, one capture, one answer", async () => {
    const { system } = shared();
    const { orderId } = await created(system, await threeLines(system));
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => pay(system, orderId, "sim_ok", { key })),
    );
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    await transactionEnded(system, String(answers[0]?.body?.transactionId));
    // Also when it has long been paid.
    expect(await pay(system, orderId, "sim_ok", { key })).toMatchObject({
      status: 202,
      text: answers[0]?.text,
      headers: { "idempotent-replayed": "true" },
    });
    expect(refusalOf(await pay(system, orderId, "sim_declined", { key }))).toEqual({
      status: 422,
      code: "IDEMPOTENCY_KEY_REUSED",
    });
    await expect(paymentOf(system, orderId)).resolves.toMatchObject({ status: "captured" });
  });

  test("is paid at most once when ten want to at the same time under different keys", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const { orderId, totalMinor } = await created(system, lines);
    const answers = await Promise.all(Array.from({ length: 10 }, () => pay(system, orderId)));
    const accepted = answers.filter(({ status }) => status === 202);
    for (const refused of answers.filter((answer) => !accepted.includes(answer)))
      expect(refusalOf(refused)).toEqual({ status: 409, code: "ORDER_STATE_CONFLICT" });
    const ends = await Promise.all(
      accepted.map(({ body }) => transactionEnded(system, String(body?.transactionId))),
    );
    const confirmed = ends.filter(({ state }) => state === "CONFIRMED").length;
    expect(confirmed).toBeLessThanOrEqual(1);
    // They may all have stood in each other's way: then nothing has happened, and the next one pays.
    if (confirmed === 0)
      await expect(settled(system, orderId)).resolves.toMatchObject({ state: "CONFIRMED" });
    await expect(orderOf(system, orderId)).resolves.toMatchObject({ status: "paid" });
    const captured = (await paymentsOf(system, orderId)).map(({ capturedMinor }) => capturedMinor);
    expect(captured.filter((amount) => amount > 0)).toEqual([totalMinor]);
  });
}
