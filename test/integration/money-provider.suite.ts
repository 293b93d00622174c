import { created, orderOf, paymentOf, paymentsOf, settled } from "../support/money.ts";
import type { System } from "../support/system.ts";
import type { Shared } from "../support/use-system.ts";
import { stocks, threeLines } from "./money-payments.suite.ts";

/** What the provider's own books say of a payment. */
async function booksOf(system: System, paymentId: string) {
  const [books] = await system.sql<{ status: string; captured: number; captures: number }>(
    "payment",
    `select c.status, c.captured_minor::int as captured,
            (select count(*)::int from psp_simulator.operations o where o.charge_id = c.id and o.operation = 'capture')
              as captures
     from psp_simulator.charges c join payments p on p.authorisation_id = c.id where p.id = $1`,
    [paymentId],
  );
  return books;
}

/** A provider that is slow, silent, or calls back. */
export function provider(shared: () => Shared): void {
  test("takes more than 30 s to authorise: the order is created again, nothing is taken or held, and it can be paid", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const { orderId } = await created(system, lines);
    const reserved = await stocks(system, lines);
    await expect(settled(system, orderId, "sim_slow")).resolves.toMatchObject({
      state: "CANCELLED",
      error: { code: "TIMEOUT" },
    });
    await expect(orderOf(system, orderId)).resolves.toMatchObject({ status: "created" });
    const payment = await paymentOf(system, orderId);
    expect(payment).toMatchObject({ status: "voided", capturedMinor: 0 });
    await expect(booksOf(system, payment.paymentId)).resolves.toEqual({
      status: "voided",
      captured: 0,
      captures: 0,
    });
    await expect(stocks(system, lines)).resolves.toEqual(reserved);
    await expect(settled(system, orderId)).resolves.toMatchObject({ state: "CONFIRMED" });
    expect((await paymentsOf(system, orderId)).map(({ status }) => status).sort()).toEqual([
      "captured",
      "voided",
    ]);
  });

  test("captures and never says so: that is found out, and the money is taken once", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await created(system, await threeLines(system));
    await expect(settled(system, orderId, "sim_timeout_after_effect")).resolves.toMatchObject({
      state: "CONFIRMED",
    });
    await expect(orderOf(system, orderId)).resolves.toMatchObject({ status: "paid" });
    const { paymentId, attempts, ...payment } = await paymentOf(system, orderId);
    expect(payment).toMatchObject({ status: "captured", capturedMinor: totalMinor });
    expect(attempts.map(({ operation, status }) => `${operation} ${status}`)).toEqual([
      "authorise succeeded",
      "capture succeeded",
    ]);
    await expect(booksOf(system, paymentId)).resolves.toEqual({
      status: "captured",
      captured: totalMinor,
      captures: 1,
    });
  });

  test("makes up its mind later and calls back: the order is paid", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await created(system, await threeLines(system));
    await expect(settled(system, orderId, "sim_callback")).resolves.toMatchObject({ state: "CONFIRMED" });
    await expect(paymentOf(system, orderId)).resolves.toMatchObject({ capturedMinor: totalMinor });
  });
}
