import { randomUUID } from "node:crypto";
import { created, orderOf, transactionEnded } from "../support/money.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";
import { threeLines } from "./money-payments.suite.ts";

const WAIT = { prefer: "wait=20" };

interface Asked {
  readonly path: string;
  readonly body: object;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const ask = (system: System, { path, body, key = randomUUID(), headers = WAIT }: Asked) =>
  system.api(path, { key, body, headers });

/** `Prefer: wait` on what begins something: one request from the wish to its end. */
export function waiting(shared: () => Shared): void {
  test("gets the order as it was confirmed, and as it was refused", async () => {
    const { system } = shared();
    const items = await threeLines(system);
    const placed = await ask(system, { path: "/orders", body: { items } });
    const orderId = String(placed.body?.orderId);
    expect(placed).toMatchObject({
      status: 200,
      headers: { location: `/api/orders/${orderId}`, "preference-applied": "wait=20" },
      body: { status: "created", items: expect.any(Array) },
    });
    expect(placed.body).toEqual(await orderOf(system, orderId));
    const body = { items: [{ productId: randomUUID(), quantity: 1 }] };
    const refused = await ask(system, { path: "/orders", body });
    expect(refused).toMatchObject({
      status: 200,
      body: { status: "cancelled", reason: { code: "PRODUCT_NOT_FOUND" } },
    });
  });

  test("gets the transaction, be the order paid or declined, and the cancellation", async () => {
    const { system } = shared();
    const { orderId } = await created(system, await threeLines(system));
    const pay = (paymentMethod: string) =>
      ask(system, { path: `/orders/${orderId}/pay`, body: { paymentMethod } });
    const declined = await pay("sim_declined");
    expect(declined).toMatchObject({
      status: 200,
      body: { orderId, state: "CANCELLED", error: { code: "PAYMENT_DECLINED" } },
    });
    const paid = await pay("sim_ok");
    const transactionId = String(paid.body?.transactionId);
    expect(paid).toMatchObject({
      status: 200,
      headers: { location: `/api/transactions/${transactionId}` },
      body: { orderId, state: "CONFIRMED" },
    });
    expect(paid.body).toEqual(await transactionEnded(system, transactionId));
    const cancelled = await ask(system, { path: `/orders/${orderId}/cancel`, body: {} });
    expect(cancelled).toMatchObject({
      status: 200,
      body: { orderId, type: "CANCEL_ORDER", state: "COMPLETED" },
    });
  });

  test("gets 202 when that takes longer, and the end by repeating its request", async () => {
    const { system } = shared();
    const { orderId } = await created(system, await threeLines(system));
    const request = {
      path: `/orders/${orderId}/pay`,
      body: { paymentMethod: "sim_callback" },
      key: randomUUID(),
    };
    const accepted = await ask(system, { ...request, headers: { prefer: "wait=0" } });
    expect(accepted).toMatchObject({ status: 202, body: { orderId, status: "processing" } });
    expect(accepted.headers).not.toHaveProperty("preference-applied");
    const known = { "idempotent-replayed": "true" };
    // Repeated without the preference it is what it was, whatever has become of it.
    await expect(ask(system, { ...request, headers: {} })).resolves.toMatchObject({
      status: 202,
      headers: known,
      body: accepted.body,
    });
    const ended = await until("the repetition tells the end", async () => {
      const answer = await ask(system, request);
      expect(answer.headers).toMatchObject(known);
      return answer.status === 200 ? answer : undefined;
    });
    expect(ended).toMatchObject({
      body: { transactionId: accepted.body?.transactionId, state: "CONFIRMED" },
    });
  });

  test("is answered 202 within its time while the provider takes longer", async () => {
    const { system } = shared();
    const { orderId } = await created(system, await threeLines(system));
    const asked = { path: `/orders/${orderId}/pay`, body: { paymentMethod: "sim_slow" } };
    const answer = await ask(system, { ...asked, headers: { prefer: "wait=1" } });
    expect(answer).toMatchObject({
      status: 202,
      headers: { "preference-applied": "wait=1" },
      body: { orderId, status: "processing" },
    });
  });
}
