import { randomUUID } from "node:crypto";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { AMOUNT, expectBalanced, openPayments, type PaymentWorld, params } from "./payment.world.ts";

/** Authorise, capture, void: every path that a global transaction can take through the payment service. */

const server = useServer();
let world: PaymentWorld;

beforeAll(async () => {
  world = await openPayments(server);
});
afterEach(() => expectBalanced(world));
afterAll(() => world.stop());

const rows = (gid: string) =>
  world.sql<{ status: string; held: boolean; captured_minor: number }>(
    "select * from payments where gid = $1",
    [gid],
  );
const charges = (gid: string) =>
  world.sql<{ status: string; captured_minor: number }>(
    "select c.* from psp_simulator.charges c join payments p on p.authorisation_id = c.id where p.gid = $1",
    [gid],
  );

const unfinished = (gid: string) =>
  world.sql<{ operation: string; status: string }>(
    `select a.operation, a.status from payment_attempts a join payments p on p.id = a.payment_id
     where p.gid = $1 and a.finished_at is null`,
    [gid],
  );

test("a payment is authorised, then captured, posted and told", async () => {
  const payment = await world.tried();
  expect(await world.call("payment.get", { paymentId: payment.paymentId })).toMatchObject({
    status: "reserved",
    amountMinor: AMOUNT,
    capturedMinor: 0,
    attempts: [{ operation: "authorise", status: "succeeded", amountMinor: AMOUNT }],
  });
  const answer = await world.call("payment.confirm", { gid: payment.gid });
  expect(answer).toEqual({ paymentId: payment.paymentId, status: "captured" });
  expect(
    await world.sql(
      "select account, direction, amount_minor::int from ledger_entries where payment_id = $1 order by id",
      [payment.paymentId],
    ),
  ).toEqual([
    { account: "psp_receivable", direction: "debit", amount_minor: AMOUNT },
    { account: "sales", direction: "credit", amount_minor: AMOUNT },
  ]);
  await world.told(payment.orderId, "PAYMENT_COMPLETED");
  const told = world
    .events(payment.orderId)
    .map(({ eventType, aggregateVersion }) => [eventType, aggregateVersion]);
  expect(told).toEqual([
    ["PAYMENT_RESERVED", 1],
    ["PAYMENT_COMPLETED", 2],
  ]);
});

test("repetitions are answered as the first, and have no effect", async () => {
  const asked = params();
  const first = await world.call("payment.try", asked);
  expect(await world.call("payment.try", { ...asked, amountMinor: 1 })).toEqual(first);
  const captured = await world.call("payment.confirm", { gid: asked.gid });
  expect(await world.call("payment.confirm", { gid: asked.gid })).toEqual(captured);
  expect(await world.call("payment.try", asked)).toEqual(first);
  const view = await world.call("payment.get", { paymentId: first.paymentId });
  expect(view.attempts.map(({ operation }) => operation)).toEqual(["authorise", "capture"]);
});

test("the same operation ten times at once happens once", async () => {
  const asked = params();
  const tries = await Promise.all(Array.from({ length: 10 }, () => world.call("payment.try", asked)));
  expect(new Set(tries.map(({ paymentId }) => paymentId)).size).toBe(1);
  await Promise.all(Array.from({ length: 10 }, () => world.call("payment.confirm", { gid: asked.gid })));
  const [attempts] = await world.sql<{ count: number }>(
    "select count(*)::int from payment_attempts where payment_id = $1",
    [tries[0]?.paymentId],
  );
  expect(attempts?.count).toBe(2);
});

test("a declined authorisation refuses the branch, again and again; its cancel has nothing to do", async () => {
  const asked = params("sim_declined");
  for (let times = 0; times < 2; times += 1) {
    await expect(world.call("payment.try", asked)).rejects.toMatchObject({
      type: "PAYMENT_DECLINED",
      code: 402,
      retryable: false,
      data: { errorCode: "CARD_DECLINED" },
    });
  }
  expect(await world.call("payment.cancel", { gid: asked.gid })).toMatchObject({ status: "failed" });
  await expect(world.call("payment.confirm", { gid: asked.gid })).rejects.toMatchObject({
    type: "TCC_CONFIRM_AFTER_CANCEL",
  });
  expect(await world.told(asked.orderId, "PAYMENT_FAILED")).toMatchObject({
    data: { errorCode: "CARD_DECLINED" },
  });
});

test("a declined capture lets the coordinator cancel, which voids the authorisation", async () => {
  const payment = await world.tried("sim_capture_declined");
  for (let times = 0; times < 2; times += 1) {
    await expect(world.call("payment.confirm", { gid: payment.gid })).rejects.toMatchObject({
      type: "PAYMENT_DECLINED",
      retryable: false,
    });
  }
  expect(await rows(payment.gid)).toMatchObject([{ status: "failed", held: true }]);
  expect(await world.call("payment.cancel", { gid: payment.gid })).toMatchObject({ status: "failed" });
  expect(await rows(payment.gid)).toMatchObject([{ status: "failed", held: false }]);
  expect(await charges(payment.gid)).toMatchObject([{ status: "voided", captured_minor: 0 }]);
  await world.told(payment.orderId, "PAYMENT_FAILED");
});

test("a cancel voids, once, and a confirm after it is refused", async () => {
  const payment = await world.tried();
  for (let times = 0; times < 2; times += 1) {
    expect(await world.call("payment.cancel", { gid: payment.gid })).toEqual({
      paymentId: payment.paymentId,
      status: "voided",
    });
  }
  expect(await charges(payment.gid)).toMatchObject([{ status: "voided" }]);
  await expect(world.call("payment.confirm", { gid: payment.gid })).rejects.toMatchObject({
    type: "TCC_CONFIRM_AFTER_CANCEL",
    code: 409,
  });
});

test("a cancel after the capture is refused", async () => {
  const payment = await world.captured();
  await expect(world.call("payment.cancel", { gid: payment.gid })).rejects.toMatchObject({
    type: "TCC_CANCEL_AFTER_CONFIRM",
  });
  expect(await rows(payment.gid)).toMatchObject([{ status: "captured" }]);
});

test("a cancel without a try is acknowledged, and the try that comes after it is refused", async () => {
  const asked = params();
  expect(await world.call("payment.cancel", { gid: asked.gid })).toEqual({ status: "voided" });
  expect(await world.call("payment.cancel", { gid: asked.gid })).toEqual({ status: "voided" });
  await expect(world.call("payment.try", asked)).rejects.toMatchObject({
    type: "TCC_HANGING",
    retryable: false,
  });
  expect(await rows(asked.gid)).toEqual([]);
});

test("a confirm without a try is refused and leaves no trace", async () => {
  const asked = params();
  await expect(world.call("payment.confirm", { gid: asked.gid })).rejects.toMatchObject({
    type: "TCC_NOT_TRIED",
  });
  await world.call("payment.try", asked);
  expect(await world.call("payment.confirm", { gid: asked.gid })).toMatchObject({ status: "captured" });
});

test("authorise and capture whose answers are lost are found out, not repeated", async () => {
  const asked = params("sim_timeout_after_effect");
  await expect(world.call("payment.try", asked)).rejects.toMatchObject({
    type: "PAYMENT_UNKNOWN",
    code: 504,
    retryable: true,
  });
  expect(await rows(asked.gid)).toMatchObject([{ status: "initiated" }]);
  const { paymentId } = await world.call("payment.try", asked);
  await expect(world.call("payment.confirm", { gid: asked.gid })).rejects.toMatchObject({
    type: "PAYMENT_UNKNOWN",
  });
  // A decided confirm is under way: the provider may have the money.
  await expect(world.call("payment.cancel", { gid: asked.gid })).rejects.toMatchObject({
    type: "TCC_CANCEL_AFTER_CONFIRM",
  });
  expect(await world.call("payment.confirm", { gid: asked.gid })).toEqual({ paymentId, status: "captured" });
  expect(await charges(asked.gid)).toMatchObject([{ status: "captured", captured_minor: AMOUNT }]);
  const view = await world.call("payment.get", { paymentId });
  expect(view.attempts.map(({ operation, status }) => [operation, status])).toEqual([
    ["authorise", "succeeded"],
    ["capture", "succeeded"],
  ]);
});

test("a cancel while the authorisation is unknown voids whatever is there", async () => {
  const slow = params("sim_slow");
  await expect(world.call("payment.try", slow)).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
  await expect(world.call("payment.confirm", { gid: slow.gid })).rejects.toMatchObject({
    type: "PAYMENT_STATE_CONFLICT",
  });
  expect(await world.call("payment.cancel", { gid: slow.gid })).toMatchObject({ status: "voided" });
  expect(await charges(slow.gid)).toMatchObject([{ status: "voided" }]);
  expect(await unfinished(slow.gid)).toEqual([]);
  // The refusal of one late try must not open the barrier for the next.
  for (let late = 0; late < 2; late += 1) {
    await expect(world.call("payment.try", slow)).rejects.toMatchObject({ type: "TCC_HANGING" });
  }
});

test("an authorisation whose time runs out after its cancel leaves nothing open", async () => {
  const slow = params("sim_slow");
  const trying = world.call("payment.try", slow).catch((error: { type: string }) => error.type);
  await until("it is being authorised", async () => (await unfinished(slow.gid)).length === 1);
  expect(await world.call("payment.cancel", { gid: slow.gid })).toMatchObject({ status: "voided" });
  await expect(trying).resolves.toMatch(/^(PAYMENT_UNKNOWN|TCC_HANGING)$/);
  expect(await unfinished(slow.gid)).toEqual([]);
});

test("an order is captured once, whoever tries again", async () => {
  const [first, second] = [params(), params()];
  await world.call("payment.try", first);
  await world.call("payment.try", { ...second, orderId: first.orderId });
  const ends = await Promise.allSettled(
    [first, second].map(({ gid }) => world.call("payment.confirm", { gid })),
  );
  expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  const captured = await world.sql("select 1 from payments where order_id = $1 and captured_minor > 0", [
    first.orderId,
  ]);
  expect(captured).toHaveLength(1);
  await expect(world.call("payment.try", { ...params(), orderId: first.orderId })).rejects.toMatchObject({
    type: "PAYMENT_ALREADY_CAPTURED",
  });
  const { items } = await world.call("payment.byOrder", { orderId: first.orderId });
  const open = items.find(({ status }) => status === "reserved");
  expect(items).toHaveLength(2);
  expect(open).toBeDefined();
});

test("a hold that nobody decided on is voided; a late confirm is refused", async () => {
  const payment = await world.tried();
  await world.sql("update payments set hold_until = now() - interval '1 second' where gid = $1", [
    payment.gid,
  ]);
  const second = await world.node();
  await second.broker.stop();
  await expect(world.call("payment.confirm", { gid: payment.gid })).rejects.toMatchObject({
    type: "TCC_CONFIRM_AFTER_CANCEL",
  });
  expect(await charges(payment.gid)).toMatchObject([{ status: "voided" }]);
});

test("someone else's payment does not exist", async () => {
  const payment = await world.tried();
  const { paymentId, orderId, customerId } = payment;
  expect(await world.call("payment.get", { paymentId, customerId })).toMatchObject({ paymentId });
  await expect(world.call("payment.get", { paymentId, customerId: randomUUID() })).rejects.toMatchObject({
    type: "PAYMENT_NOT_FOUND",
    code: 404,
  });
  expect((await world.call("payment.byOrder", { orderId, customerId })).items).toHaveLength(1);
  expect((await world.call("payment.byOrder", { orderId, customerId: randomUUID() })).items).toEqual([]);
});

test.each([
  { amountMinor: 0 },
  { amountMinor: -1 },
  { amountMinor: 1.5 },
  { amountMinor: 2 ** 53 },
  { currency: "eur" },
  { currency: "EURO" },
  { paymentMethod: "" },
  { paymentMethod: "sim ok" },
  { gid: "not a uuid" },
  { extra: 1 },
])("a try with %j is refused before anything happens", async (wrong) => {
  const asked = { ...params(), ...wrong };
  await expect(world.call("payment.try", asked)).rejects.toMatchObject({ type: "VALIDATION_ERROR" });
});

test("64 concurrent payments share their transactions", async () => {
  const payments = await Promise.all(Array.from({ length: 64 }, () => world.tried()));
  await Promise.all(payments.map(({ gid }) => world.call("payment.confirm", { gid })));
  const [count] = await world.sql<{ captured: number }>(
    "select count(*)::int as captured from payments where id = any($1) and status = 'captured'",
    [payments.map(({ paymentId }) => paymentId)],
  );
  expect(count?.captured).toBe(64);
  // A row's xmin is the transaction that wrote it last: here the one that stored the reply of the confirm.
  const [written] = await world.sql<{ transactions: number }>(
    "select count(distinct xmin::text)::int as transactions from tcc_barriers where op = 'confirm' and gid = any($1)",
    [payments.map(({ gid }) => gid)],
  );
  expect(written?.transactions).toBeLessThan(16);
});

test("the ledger refuses what is out of balance, and every change of what stands", async () => {
  const insert = `insert into ledger_entries (posting_id, payment_id, account, direction, amount_minor, currency)
                  values ($1, $1, 'sales', 'credit', 5, 'EUR')`;
  await expect(world.sql(insert, [randomUUID()])).rejects.toThrow("out of balance");
  await world.captured();
  await expect(world.sql("update ledger_entries set amount_minor = 1")).rejects.toThrow("append-only");
  await expect(world.sql("delete from ledger_entries")).rejects.toThrow("append-only");
  await expect(world.sql("truncate ledger_entries")).rejects.toThrow("append-only");
});
