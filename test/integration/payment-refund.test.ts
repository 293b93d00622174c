import { randomUUID } from "node:crypto";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { AMOUNT, claim, expectBalanced, openPayments, type PaymentWorld } from "./payment.world.ts";

/** Money back: in part, repeatedly, at the same time, for a cancellation; never more than was taken. */

const server = useServer();
let world: PaymentWorld;

beforeAll(async () => {
  world = await openPayments(server);
});
afterEach(() => expectBalanced(world));
afterAll(() => world.stop());

const refund = (paymentId: string, amountMinor?: number, idempotency = claim()) =>
  world.call("payment.refund", {
    paymentId,
    reason: "broken",
    idempotency,
    ...(amountMinor !== undefined && { amountMinor }),
  });

test("a part, then the rest: each is promised, done, posted and told", async () => {
  const { paymentId, orderId } = await world.captured();
  const answer = await refund(paymentId, 345);
  expect(answer).toMatchObject({
    replayed: false,
    status: 202,
    body: { paymentId, amountMinor: 345, status: "processing" },
  });
  await world.told(orderId, "PAYMENT_REFUNDED");
  expect(await world.call("payment.get", { paymentId })).toMatchObject({
    status: "partially_refunded",
    refundedMinor: 345,
  });
  expect(await refund(paymentId)).toMatchObject({ body: { amountMinor: AMOUNT - 345 } });
  const last = await world.told(orderId, "PAYMENT_REFUNDED", 2);
  expect(last).toMatchObject({ data: { paymentId, amountMinor: AMOUNT - 345, currency: "EUR" } });
  expect(await world.call("payment.get", { paymentId })).toMatchObject({
    status: "refunded",
    refundedMinor: AMOUNT,
  });
  const entries = await world.sql("select 1 from ledger_entries where payment_id = $1", [paymentId]);
  expect(entries).toHaveLength(6);
});

test("the same key gives the stored answer and one refund; another request under it is refused", async () => {
  const { paymentId, orderId } = await world.captured();
  const idempotency = claim();
  const answers = await Promise.all(Array.from({ length: 5 }, () => refund(paymentId, AMOUNT, idempotency)));
  expect(new Set(answers.map(({ body }) => body.refundId)).size).toBe(1);
  await world.told(orderId, "PAYMENT_REFUNDED");
  // Nothing is left, and still it is answered as it was.
  expect(await refund(paymentId, AMOUNT, idempotency)).toMatchObject({ replayed: true, status: 202 });
  await expect(refund(paymentId, 1, { ...idempotency, requestHash: "other" })).rejects.toMatchObject({
    type: "IDEMPOTENCY_KEY_REUSED",
  });
});

test("concurrent refunds never give back more than was taken", async () => {
  const { paymentId, orderId } = await world.captured(1_000);
  const ends = await Promise.allSettled(Array.from({ length: 20 }, () => refund(paymentId, 300)));
  const done = ends.filter(({ status }) => status === "fulfilled");
  expect(done).toHaveLength(3);
  for (const end of ends)
    if (end.status === "rejected")
      expect(end.reason).toMatchObject({ type: "REFUND_EXCEEDS_CAPTURED", code: 422 });
  await world.told(orderId, "PAYMENT_REFUNDED", 3);
  expect(await world.call("payment.get", { paymentId })).toMatchObject({
    refundedMinor: 900,
    status: "partially_refunded",
  });
});

test.each([0, -1, AMOUNT + 1, Number.MAX_SAFE_INTEGER])("a refund of %d is refused", async (amountMinor) => {
  const { paymentId } = await world.captured();
  await expect(refund(paymentId, amountMinor)).rejects.toMatchObject({
    type: "REFUND_EXCEEDS_CAPTURED",
    code: 422,
  });
  expect(await world.call("payment.get", { paymentId })).toMatchObject({
    refundedMinor: 0,
    status: "captured",
  });
});

test("what was not captured cannot be refunded, and a refusal leaves its key free", async () => {
  const { paymentId, gid } = await world.tried();
  const idempotency = claim();
  await expect(refund(paymentId, 1, idempotency)).rejects.toMatchObject({
    type: "PAYMENT_NOT_CAPTURED",
    code: 409,
  });
  await expect(refund(randomUUID(), 1)).rejects.toMatchObject({ type: "PAYMENT_NOT_FOUND", code: 404 });
  await world.call("payment.confirm", { gid });
  expect(await refund(paymentId, 1, idempotency)).toMatchObject({ replayed: false });
});

test("the database itself refuses more than was taken", async () => {
  const { paymentId } = await world.captured();
  const set = (column: string) =>
    world.sql(`update payments set ${column} = captured_minor + 1 where id = $1`, [paymentId]);
  await expect(set("refunded_minor")).rejects.toThrow("check constraint");
  await expect(set("refunding_minor")).rejects.toThrow("check constraint");
});

test("a cancellation gets back all that is left, and is told when it is there", async () => {
  const { paymentId, orderId } = await world.captured();
  await refund(paymentId, 45);
  const sagaId = randomUUID();
  await world.send({ orderId, sagaId, reason: "cancelled" });
  await world.told(orderId, "PAYMENT_REFUNDED", 2);
  const told = world.events(orderId).filter(({ eventType }) => eventType === "PAYMENT_REFUNDED");
  // One of them tells the cancellation, the last.
  expect(told.map(({ data }) => "sagaId" in data)).toEqual([false, true]);
  expect(told.at(-1)).toMatchObject({ data: { sagaId } });
  expect(await world.call("payment.get", { paymentId })).toMatchObject({
    status: "refunded",
    refundedMinor: AMOUNT,
  });
});

test("a cancellation with nothing to get back is told so at once", async () => {
  const orderId = randomUUID();
  const sagaId = randomUUID();
  await world.send({ orderId, sagaId, reason: "cancelled" });
  expect(await world.told(orderId, "PAYMENT_REFUNDED")).toMatchObject({ data: { sagaId, amountMinor: 0 } });
  const payment = await world.captured();
  await refund(payment.paymentId);
  await world.told(payment.orderId, "PAYMENT_REFUNDED");
  await world.send({ orderId: payment.orderId, sagaId, reason: "cancelled" });
  expect(await world.told(payment.orderId, "PAYMENT_REFUNDED", 2)).toMatchObject({
    data: { sagaId, paymentId: payment.paymentId, amountMinor: 0 },
    aggregateVersion: 4,
  });
});

test("a command that comes twice refunds once", async () => {
  const { paymentId, orderId } = await world.captured();
  const data = { orderId, sagaId: randomUUID(), reason: "cancelled" };
  const eventId = randomUUID();
  await Promise.all([world.send(data, eventId), world.send(data, eventId), world.send(data)]);
  await world.told(orderId, "PAYMENT_REFUNDED");
  const refunds = await world.sql("select 1 from refunds where payment_id = $1", [paymentId]);
  expect(refunds).toHaveLength(1);
});

test("a refund that the provider refuses is failed, and may be asked for again", async () => {
  const { paymentId } = await world.captured();
  await world.sql(
    "update psp_simulator.charges set refunded_minor = captured_minor where id = (select authorisation_id from payments where id = $1)",
    [paymentId],
  );
  await refund(paymentId, 5);
  await refund(paymentId, 6);
  await expect(refund(paymentId, AMOUNT)).rejects.toMatchObject({ type: "REFUND_EXCEEDS_CAPTURED" });
  await until("both have failed", async () => {
    const rows = await world.sql("select 1 from refunds where payment_id = $1 and status = 'failed'", [
      paymentId,
    ]);
    return rows.length === 2;
  });
  expect(await world.call("payment.get", { paymentId })).toMatchObject({
    refundedMinor: 0,
    status: "captured",
  });
});

test("a cancellation's refund that the provider refuses is asked for again, under another key", async () => {
  const { paymentId, orderId } = await world.captured();
  const books =
    "update psp_simulator.charges set refunded_minor = $2 where id = (select authorisation_id from payments where id = $1)";
  await world.sql(books, [paymentId, AMOUNT]);
  const sagaId = randomUUID();
  await world.send({ orderId, sagaId, reason: "cancelled" });
  await until("it was refused", async () => {
    const { attempts } = await world.call("payment.get", { paymentId });
    return attempts.some(({ operation, status }) => operation === "refund" && status === "declined");
  });
  expect(world.events(orderId).map(({ eventType }) => eventType)).not.toContain("PAYMENT_REFUNDED");
  await world.sql(books, [paymentId, 0]);
  await world.sql(
    "update payment_attempts set next_at = now() where payment_id = $1 and next_at is not null",
    [paymentId],
  );
  expect(await world.told(orderId, "PAYMENT_REFUNDED")).toMatchObject({
    data: { sagaId, amountMinor: AMOUNT },
  });
});

test.each([{ reason: "" }, { amountMinor: 1.5 }, { paymentId: "x" }, { idempotency: {} }, { extra: 1 }])(
  "a refund with %j is refused before anything happens",
  async (wrong) => {
    const asked = { paymentId: randomUUID(), reason: "r", idempotency: claim(), ...wrong };
    await expect(world.broker.call("payment.refund", asked)).rejects.toMatchObject({
      type: "VALIDATION_ERROR",
    });
  },
);
