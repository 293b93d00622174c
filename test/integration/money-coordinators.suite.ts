import { randomUUID } from "node:crypto";
import {
  cancel,
  created,
  orderIs,
  orderOf,
  paid,
  paymentIs,
  paymentOf,
  paymentsOf,
  refusalOf,
  settled,
} from "../support/money.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";
import { stocks, threeLines } from "./money-payments.suite.ts";

const ask = (system: System, path: string, body: object = {}) =>
  system.api(path, { as: "service", key: randomUUID(), body });

async function reservation(system: System, orderId: string): Promise<string | undefined> {
  const rows = await system.sql<{ status: string }>(
    "product",
    "select status from order_reservations where order_id = $1",
    [orderId],
  );
  return rows[0]?.status;
}

const reservationIs = (system: System, orderId: string, status: string) =>
  until(`the reservation is ${status}`, async () => (await reservation(system, orderId)) === status);

/** Makes a hold as old as one that has outlived every transaction. */
const age = (system: System, orderId: string, heldBy = orderId, minutes = 16) =>
  system.sql(
    "product",
    `update order_reservations set updated_at = now() - $2 * interval '1 minute', held_by = $3 where order_id = $1`,
    [orderId, minutes, heldBy],
  );

const transactionOf = async (system: System, orderId: string) => {
  const [found] = await system.sql<{ id: string }>(
    "saga",
    "select id from tcc_transactions where business_key = $1 and state = 'CONFIRMED'",
    [orderId],
  );
  return found?.id ?? "";
};

/** An order and, not sent yet, the try of its payment by a transaction of its own. */
async function authorisation(system: System) {
  const order = await created(system, await threeLines(system));
  const { orderId, customerId, totalMinor: amountMinor, currency } = order;
  const body = { gid: randomUUID(), orderId, customerId, amountMinor, currency, paymentMethod: "sim_ok" };
  return { orderId, body };
}

/** Try, confirm and cancel by hand, in the wrong order, too late, and in the way of a payment. */
export function coordinators(shared: () => Shared): void {
  test("holds stock and lets go; then it may neither confirm nor hold again", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const { orderId } = await created(system, lines);
    const before = await stocks(system, lines);
    const held = await ask(system, "/products/stock/try", { orderId, items: lines });
    expect(held).toMatchObject({ status: 201, body: { orderId, status: "HELD" } });
    const letGo = { status: 200, body: { orderId, status: "CANCELLED" } };
    for (let times = 0; times < 2; times += 1)
      expect(await ask(system, `/products/stock/cancel/${orderId}`)).toMatchObject(letGo);
    await expect(reservation(system, orderId)).resolves.toBe("RESERVED");
    expect(refusalOf(await ask(system, `/products/stock/confirm/${orderId}`))).toEqual({
      status: 409,
      code: "TCC_CONFIRM_AFTER_CANCEL",
    });
    await expect(stocks(system, lines)).resolves.toEqual(before);
    await expect(settled(system, orderId)).resolves.toMatchObject({ state: "CONFIRMED" });
  });

  test("reserves for an order that nobody else knows, and gives it back: both are told, in order", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const before = await stocks(system, lines);
    const orderId = randomUUID();
    expect(await ask(system, "/products/stock/try", { orderId, items: lines })).toMatchObject({
      status: 201,
    });
    expect(await ask(system, `/products/stock/cancel/${orderId}`)).toMatchObject({ status: 200 });
    await expect(stocks(system, lines)).resolves.toEqual(before);
    const told = await system.sql(
      "product",
      `select event_type as type, aggregate_version::int as version from outbox_events
       where aggregate_id = $1 order by aggregate_version`,
      [orderId],
    );
    expect(told).toEqual([
      { type: "STOCK_RESERVED", version: 1 },
      { type: "STOCK_RELEASED", version: 2 },
    ]);
  });

  test("is refused a confirm of what it never tried, and a try that comes after its cancel", async () => {
    const { system } = shared();
    const gid = randomUUID();
    for (const part of ["products/stock", "payments"])
      expect(refusalOf(await ask(system, `/${part}/confirm/${gid}`))).toEqual({
        status: 409,
        code: "TCC_NOT_TRIED",
      });
    expect(await ask(system, `/payments/cancel/${gid}`)).toMatchObject({
      status: 200,
      body: { status: "voided" },
    });
    expect(await ask(system, `/products/stock/cancel/${gid}`)).toMatchObject({ status: 200 });
    const { orderId, body } = await authorisation(system);
    for (let times = 0; times < 2; times += 1) {
      expect(refusalOf(await ask(system, "/payments/try", { ...body, gid }))).toEqual({
        status: 409,
        code: "TCC_HANGING",
      });
      const items = await threeLines(system);
      expect(refusalOf(await ask(system, "/products/stock/try", { orderId: gid, items }))).toEqual({
        status: 409,
        code: "TCC_HANGING",
      });
    }
    await expect(paymentsOf(system, orderId)).resolves.toEqual([]);
  });

  test("is told which product there is none of, and that the order is the only transaction of its stock", async () => {
    const { system } = shared();
    const [orderId, productId] = [randomUUID(), randomUUID()];
    const items = [{ productId, quantity: 1 }];
    const tried = await ask(system, "/products/stock/try", { orderId, items });
    expect(tried).toMatchObject({ status: 404, body: { code: "PRODUCT_NOT_FOUND" } });
    expect(tried.body?.detail).toContain(productId);
    const { plenty } = system.demo.products;
    const asProduct = { orderId: plenty, items: [{ productId: plenty, quantity: 1 }] };
    expect(await ask(system, "/products/stock/try", asProduct)).toMatchObject({
      status: 422,
      body: { code: "VALIDATION_FAILED", errors: [{ field: "orderId" }] },
    });
    // It could never be confirmed or cancelled: those name the order.
    const ofItsOwn = await ask(system, "/products/stock/try", { gid: randomUUID(), orderId, items });
    expect(refusalOf(ofItsOwn)).toEqual({ status: 422, code: "VALIDATION_FAILED" });
  });

  test("may write ids in upper case", async () => {
    const { system } = shared();
    const { orderId, customerId, currency } = await created(system, await threeLines(system));
    const [stranger, gid] = [randomUUID(), randomUUID()];
    const items = (await threeLines(system)).map((line) => ({
      ...line,
      productId: line.productId.toUpperCase(),
    }));
    const held = await ask(system, "/products/stock/try", { orderId: stranger.toUpperCase(), items });
    expect(held).toMatchObject({ status: 201, body: { orderId: stranger, status: "HELD" } });
    const letGo = { status: 200, body: { orderId: stranger, status: "CANCELLED" } };
    expect(await ask(system, `/products/stock/cancel/${stranger.toUpperCase()}`)).toMatchObject(letGo);
    const tried = await ask(system, "/payments/try", {
      gid: gid.toUpperCase(),
      orderId: orderId.toUpperCase(),
      customerId: customerId.toUpperCase(),
      amountMinor: 1,
      currency,
      paymentMethod: "sim_ok",
    });
    expect(tried).toMatchObject({ status: 201, body: { status: "reserved" } });
    expect(await ask(system, `/payments/cancel/${gid.toUpperCase()}`)).toMatchObject({
      status: 200,
      body: { status: "voided" },
    });
  });

  test("authorises and voids; then it may not capture", async () => {
    const { system } = shared();
    const { orderId, body } = await authorisation(system);
    const { gid } = body;
    const tried = await ask(system, "/payments/try", body);
    expect(tried).toMatchObject({ status: 201, body: { status: "reserved" } });
    const { paymentId } = tried.body ?? {};
    for (let times = 0; times < 2; times += 1)
      expect(await ask(system, `/payments/cancel/${gid}`)).toMatchObject({
        status: 200,
        body: { paymentId, status: "voided" },
      });
    expect(refusalOf(await ask(system, `/payments/confirm/${gid}`))).toEqual({
      status: 409,
      code: "TCC_CONFIRM_AFTER_CANCEL",
    });
    await expect(paymentOf(system, orderId)).resolves.toMatchObject({ status: "voided", capturedMinor: 0 });
  });

  test("may not take back what a transaction has confirmed, nor confirm what one has cancelled", async () => {
    const { system } = shared();
    const { orderId, totalMinor } = await paid(system, await threeLines(system));
    const confirmed = await transactionOf(system, orderId);
    expect(refusalOf(await ask(system, `/payments/cancel/${confirmed}`))).toEqual({
      status: 409,
      code: "TCC_CANCEL_AFTER_CONFIRM",
    });
    await expect(paymentOf(system, orderId)).resolves.toMatchObject({
      status: "captured",
      capturedMinor: totalMinor,
    });

    const other = await created(system, await threeLines(system));
    const { transactionId } = await settled(system, other.orderId, "sim_capture_declined");
    expect(refusalOf(await ask(system, `/payments/confirm/${transactionId}`))).toEqual({
      status: 409,
      code: "TCC_CONFIRM_AFTER_CANCEL",
    });
    await expect(orderOf(system, other.orderId)).resolves.toMatchObject({ status: "created" });
  });

  test("holds the stock of an order: its payment fails in the try, and all of it is taken back", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const { orderId } = await created(system, lines);
    const before = await stocks(system, lines);
    await ask(system, "/products/stock/try", { orderId, items: lines });
    const transaction = await settled(system, orderId);
    expect(transaction).toMatchObject({ state: "CANCELLED", error: { code: "STOCK_NOT_RESERVED" } });
    expect(transaction.participants.map(({ state }) => state)).toEqual(
      transaction.participants.map(() => "CANCELLED"),
    );
    await expect(orderOf(system, orderId)).resolves.toMatchObject({ status: "created" });
    const { status, capturedMinor } = await paymentOf(system, orderId);
    expect([status, capturedMinor]).toEqual(["voided", 0]);
    await expect(stocks(system, lines)).resolves.toEqual(before);
    await expect(reservation(system, orderId)).resolves.toBe("HELD");
    await ask(system, `/products/stock/cancel/${orderId}`);
    await expect(settled(system, orderId)).resolves.toMatchObject({ state: "CONFIRMED" });
  });

  test("holds the stock of an order that is cancelled meanwhile: it comes back when the hold ends", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const before = await stocks(system, lines);
    const { orderId } = await created(system, lines);
    await ask(system, "/products/stock/try", { orderId, items: lines });
    expect(await cancel(system, orderId)).toMatchObject({ status: 202 });
    await until("the release has met the hold", async () => {
      const asked = "select 1 from order_reservations where order_id = $1 and release_asked is not null";
      return (await system.sql("product", asked, [orderId])).length === 1;
    });
    await expect(orderOf(system, orderId)).resolves.toMatchObject({ status: "cancelling" });
    await ask(system, `/products/stock/cancel/${orderId}`);
    await orderIs(system, orderId, "cancelled");
    await expect(stocks(system, lines)).resolves.toEqual(before);
  });

  test("that is never heard of again loses its hold; one that has decided to confirm keeps it", async () => {
    const { system } = shared();
    const lines = await threeLines(system);
    const confirmed = await transactionOf(system, (await paid(system, lines)).orderId);
    const [kept, forgotten] = [await created(system, lines), await created(system, lines)];
    for (const { orderId } of [kept, forgotten])
      await ask(system, "/products/stock/try", { orderId, items: lines });
    // The older hold is asked about first.
    await age(system, kept.orderId, confirmed, 20);
    await age(system, forgotten.orderId);
    await reservationIs(system, forgotten.orderId, "RESERVED");
    expect(refusalOf(await ask(system, `/products/stock/confirm/${forgotten.orderId}`))).toEqual({
      status: 409,
      code: "TCC_CONFIRM_AFTER_CANCEL",
    });
    await expect(reservation(system, kept.orderId)).resolves.toBe("HELD");
    await age(system, kept.orderId);
    await reservationIs(system, kept.orderId, "RESERVED");
  });

  test("that lets its authorisation expire finds it voided, and may not capture", async () => {
    const { system } = shared();
    const { body } = await authorisation(system);
    const { gid } = body;
    const { paymentId } = (await ask(system, "/payments/try", body)).body ?? {};
    await system.sql("payment", "update payments set hold_until = now() where gid = $1", [gid]);
    await paymentIs(system, String(paymentId), "voided");
    expect(refusalOf(await ask(system, `/payments/confirm/${gid}`))).toEqual({
      status: 409,
      code: "TCC_CONFIRM_AFTER_CANCEL",
    });
  });
}
