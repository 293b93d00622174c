import { randomUUID } from "node:crypto";
import { sign } from "../../services/payment/psp/signature.ts";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { AMOUNT, expectBalanced, openPayments, type PaymentWorld, params } from "./payment.world.ts";

/** What the provider tells by itself: only if it is genuine and fresh, once, in any order. */

const server = useServer();
const SECRETS = ["whsec_new", "whsec_old"] as const;
let world: PaymentWorld;

beforeAll(async () => {
  world = await openPayments(server, { PSP_WEBHOOK_SECRETS: SECRETS.join(", ") });
});
afterEach(() => expectBalanced(world));
afterAll(() => world.stop());

const now = () => Math.floor(Date.now() / 1_000);
const deliver = (body: string, signature: string = sign(body, SECRETS[0], now()), provider = "simulator") =>
  world.call("payment.webhook", { provider, body, headers: { "x-psp-signature": signature } });

/** A payment that waits for its callback, which this test sends instead of the simulator. */
async function waiting() {
  const asked = params("sim_callback");
  await expect(world.call("payment.try", asked)).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
  const [row] = await world.sql<{ id: string; authorisation_id: string }>(
    "select id, authorisation_id from payments where gid = $1",
    [asked.gid],
  );
  if (!row) throw new Error("the payment is missing");
  const event = {
    id: `evt_${randomUUID()}`,
    type: "authorise.succeeded",
    operation: "authorise",
    attemptId: row.authorisation_id,
    amountMinor: AMOUNT,
  };
  return { ...asked, paymentId: row.id, event };
}

const statusOf = async (paymentId: string) => (await world.call("payment.get", { paymentId })).status;
const noted = (id: string) =>
  world.sql<{ result: string }>("select result from psp_events where event_id = $1", [id]);

test("sim_callback is authorised by the simulator's own signed callback", async () => {
  const asked = params("sim_callback");
  await expect(world.call("payment.try", asked)).rejects.toMatchObject({
    type: "PAYMENT_UNKNOWN",
    data: { errorCode: "PSP_PROCESSING" },
  });
  await world.told(asked.orderId, "PAYMENT_RESERVED");
  expect(await world.call("payment.try", asked)).toMatchObject({ status: "reserved" });
  expect(await world.call("payment.confirm", { gid: asked.gid })).toMatchObject({ status: "captured" });
});

test("an event has its effect once, committed when it is acknowledged", async () => {
  const { event, paymentId, orderId } = await waiting();
  const body = JSON.stringify(event);
  const answers = await Promise.all(Array.from({ length: 5 }, () => deliver(body)));
  expect(answers).toEqual(Array.from({ length: 5 }, () => ({ received: true })));
  expect(await statusOf(paymentId)).toBe("reserved");
  expect(await noted(event.id)).toEqual([{ result: "settled" }]);
  await world.told(orderId, "PAYMENT_RESERVED");
  await deliver(JSON.stringify({ ...event, id: `evt_${randomUUID()}` }));
  expect(world.events(orderId)).toHaveLength(1);
});

test("both secrets hold while they rotate, and a header may carry several signatures", async () => {
  const { event, paymentId } = await waiting();
  const body = JSON.stringify(event);
  const [, genuine] = sign(body, SECRETS[1], now()).split(",");
  await deliver(body, `t=${now()},v1=${"0".repeat(64)},${genuine}`);
  expect(await statusOf(paymentId)).toBe("reserved");
});

test.each([
  ["no signature", () => ""],
  ["another secret", (body: string) => sign(body, "whsec_forged", now())],
  ["another body", () => sign("{}", SECRETS[0], now())],
  [
    "a time that was not signed",
    (body: string) => sign(body, SECRETS[0], now()).replace(/t=\d+/, `t=${now() - 1}`),
  ],
  ["half a signature", (body: string) => sign(body, SECRETS[0], now()).slice(0, -2)],
  ["no time", (body: string) => sign(body, SECRETS[0], now()).replace(/t=\d+,/, "")],
  ["noise", () => "v1=zz,t=zz,=,,"],
])("%s is refused and leaves no trace", async (_, signature) => {
  const { event } = await waiting();
  const body = JSON.stringify(event);
  await expect(deliver(body, signature(body))).rejects.toMatchObject({
    type: "WEBHOOK_SIGNATURE_INVALID",
    code: 401,
  });
  expect(await noted(event.id)).toEqual([]);
});

test.each([-301, 301])("a signature %d seconds away is refused", async (seconds) => {
  const body = JSON.stringify((await waiting()).event);
  const signature = sign(body, SECRETS[0], now() + seconds);
  await expect(deliver(body, signature)).rejects.toMatchObject({ type: "WEBHOOK_TOO_OLD", code: 401 });
});

test("a wrong amount is refused, and the right one is still taken", async () => {
  const { event, paymentId } = await waiting();
  await expect(deliver(JSON.stringify({ ...event, amountMinor: AMOUNT - 1 }))).rejects.toMatchObject({
    type: "WEBHOOK_AMOUNT_MISMATCH",
    code: 422,
  });
  expect(await noted(event.id)).toEqual([]);
  await deliver(JSON.stringify(event));
  expect(await statusOf(paymentId)).toBe("reserved");
});

test("events out of order change nothing that was settled", async () => {
  const { event, paymentId, gid, orderId } = await waiting();
  await deliver(JSON.stringify(event));
  await world.sql("update psp_simulator.charges set decided_at = now() where id = $1", [event.attemptId]);
  await world.call("payment.confirm", { gid });
  await deliver(JSON.stringify({ ...event, id: `evt_${randomUUID()}` }));
  await deliver(
    JSON.stringify({ ...event, id: `evt_${randomUUID()}`, type: "authorise.declined", code: "LATE" }),
  );
  expect(await statusOf(paymentId)).toBe("captured");
  await world.told(orderId, "PAYMENT_COMPLETED");
  expect(world.events(orderId)).toHaveLength(2);
});

test("a callback after the cancel changes nothing, and nothing stays held", async () => {
  const { event, gid, paymentId } = await waiting();
  expect(await world.call("payment.cancel", { gid })).toMatchObject({ status: "voided" });
  await deliver(JSON.stringify(event));
  expect(await statusOf(paymentId)).toBe("voided");
  await until("nothing is held", async () => {
    const rows = await world.sql("select 1 from payments where gid = $1 and held", [gid]);
    return rows.length === 0;
  });
});

test("a declined callback fails the payment", async () => {
  const { event, paymentId, gid } = await waiting();
  await deliver(JSON.stringify({ ...event, type: "authorise.declined", code: "FRAUD" }));
  expect(await statusOf(paymentId)).toBe("failed");
  await world.call("payment.cancel", { gid });
});

test("what concerns nothing of ours is acknowledged and noted", async () => {
  const { event } = await waiting();
  const unmatched = { ...event, id: `evt_${randomUUID()}`, attemptId: randomUUID() };
  expect(await deliver(JSON.stringify(unmatched))).toEqual({ received: true });
  expect(await noted(unmatched.id)).toEqual([{ result: "unmatched" }]);
  const foreign = { id: `evt_${randomUUID()}`, type: "payout.paid" };
  expect(await deliver(JSON.stringify(foreign))).toEqual({ received: true });
  expect(await noted(foreign.id)).toEqual([{ result: "ignored" }]);
  const crossed = { ...event, id: `evt_${randomUUID()}`, operation: "capture", type: "capture.succeeded" };
  await deliver(JSON.stringify(crossed));
  expect(await noted(crossed.id)).toEqual([{ result: "unmatched" }]);
});

test.each([
  "not json",
  "[]",
  "null",
  "{}",
  '{"id":1,"type":"x"}',
  '{"id":"e","type":"authorise.succeeded","operation":"authorise"}',
])("a signed %s is malformed", async (body) => {
  await expect(deliver(body)).rejects.toMatchObject({ type: "WEBHOOK_MALFORMED", code: 400 });
});

test("another provider does not exist here", async () => {
  await expect(deliver("{}", undefined, "stripe")).rejects.toMatchObject({
    type: "PROVIDER_NOT_FOUND",
    code: 404,
  });
});
