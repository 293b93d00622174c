import type { Provider, ProviderRequest } from "../../services/payment/psp/port.ts";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import {
  AMOUNT,
  expectBalanced,
  openPayments,
  type PaymentNode,
  type PaymentWorld,
  params,
} from "./payment.world.ts";

/**
 * A process that dies between its two transactions: before the provider is asked, or after it has answered. The
 * provider's port is where it is made to die: it throws before or after the real call, and the outcome of that
 * process is thrown away. Another process then takes the operation up.
 */

const server = useServer();
let world: PaymentWorld;
let dying: PaymentNode;
/** Where the next call of that operation dies. */
let die: { operation: ProviderRequest["operation"]; when: "before" | "after" } | undefined;
const asked: string[] = [];

function mortal(provider: Provider): Provider {
  const wrapped =
    (operation: ProviderRequest["operation"]) => async (request: ProviderRequest, signal: AbortSignal) => {
      asked.push(`${operation} ${request.attemptId}`);
      const end = die?.operation === operation ? die.when : undefined;
      if (end === "before") throw new Error("died before the provider was asked");
      const result = await provider[operation](request, signal);
      if (end === "after") throw new Error("died after the provider had answered");
      return result;
    };
  return {
    ...provider,
    authorise: wrapped("authorise"),
    capture: wrapped("capture"),
    void: wrapped("void"),
    refund: wrapped("refund"),
  };
}

beforeAll(async () => {
  world = await openPayments(server);
  dying = await world.node(mortal);
});
afterEach(async () => {
  die = undefined;
  await expectBalanced(world);
});
afterAll(() => world.stop());

const charge = async (gid: string) =>
  (
    await world.sql<{ status: string; captured_minor: number; operations: number }>(
      `select c.status, c.captured_minor,
              (select count(*)::int from psp_simulator.operations o where o.charge_id = c.id) as operations
       from psp_simulator.charges c join payments p on p.authorisation_id = c.id where p.gid = $1`,
      [gid],
    )
  )[0];

describe.each(["before", "after"] as const)("dying %s the provider", (when) => {
  test("an authorisation is taken up and made once", async () => {
    const payment = params();
    die = { operation: "authorise", when };
    await expect(dying.call("payment.try", payment)).rejects.toMatchObject({
      type: "PAYMENT_UNKNOWN",
      retryable: true,
    });
    const before = await charge(payment.gid);
    expect(before === undefined).toBe(when === "before");
    expect(await world.call("payment.try", payment)).toMatchObject({ status: "reserved" });
    expect(await charge(payment.gid)).toMatchObject({ status: "authorised" });
    const keys = new Set(asked.filter((one) => one.startsWith("authorise")));
    expect(keys.size).toBeLessThanOrEqual(asked.length);
  });

  test("a capture is taken up and made once", async () => {
    const { gid } = await world.tried();
    die = { operation: "capture", when };
    await expect(dying.call("payment.confirm", { gid })).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
    await expect(world.call("payment.cancel", { gid })).rejects.toMatchObject({
      type: "TCC_CANCEL_AFTER_CONFIRM",
    });
    expect(await world.call("payment.confirm", { gid })).toMatchObject({ status: "captured" });
    expect(await charge(gid)).toMatchObject({ status: "captured", captured_minor: AMOUNT, operations: 1 });
  });

  test("a void is taken up", async () => {
    const { gid } = await world.tried();
    die = { operation: "void", when };
    await expect(dying.call("payment.cancel", { gid })).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
    expect(await world.call("payment.cancel", { gid })).toMatchObject({ status: "voided" });
    expect(await charge(gid)).toMatchObject({ status: "voided", operations: 1 });
  });

  test("a cancel after an unknown authorisation leaves nothing held", async () => {
    const payment = params();
    die = { operation: "authorise", when };
    await expect(dying.call("payment.try", payment)).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
    expect(await world.call("payment.cancel", { gid: payment.gid })).toMatchObject({ status: "voided" });
    expect(await charge(payment.gid)).toMatchObject({ status: "voided" });
    await expect(world.call("payment.try", payment)).rejects.toMatchObject({ type: "TCC_HANGING" });
  });
});

test("an authorisation that arrives after its cancel is refused by the provider, or voided again", async () => {
  const payment = params();
  let arrive: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const late = await world.node((provider) => ({
    ...provider,
    authorise: async (request, signal) => {
      await held;
      return provider.authorise(request, signal);
    },
  }));
  const trying = late.call("payment.try", payment);
  trying.catch(() => undefined);
  await until("the intent is there", async () => {
    const rows = await world.sql("select 1 from payments where gid = $1", [payment.gid]);
    return rows.length === 1;
  });
  expect(await world.call("payment.cancel", { gid: payment.gid })).toMatchObject({ status: "voided" });
  arrive();
  await expect(trying).rejects.toMatchObject({ type: "TCC_HANGING" });
  expect(await charge(payment.gid)).toMatchObject({ status: "voided" });
});

test("an authorisation that a provider grants after its void is voided by the worker", async () => {
  const payment = params();
  const forgetful = await world.node((provider) => ({
    ...provider,
    // It acknowledges a void of what it has not seen, and forgets it.
    void: async ({ attemptId, amountMinor }) => ({ kind: "succeeded", reference: attemptId, amountMinor }),
  }));
  die = { operation: "authorise", when: "before" };
  await expect(dying.call("payment.try", payment)).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
  die = undefined;
  await forgetful.call("payment.cancel", { gid: payment.gid });
  await forgetful.broker.stop();
  // The repetition that was on its way all the time.
  const [row] = await world.sql<{ authorisation_id: string; id: string }>(
    "select id, authorisation_id from payments where gid = $1",
    [payment.gid],
  );
  const body = JSON.stringify({
    id: payment.gid,
    type: "authorise.succeeded",
    operation: "authorise",
    attemptId: row?.authorisation_id,
    amountMinor: AMOUNT,
  });
  const [account] = await world.sql<{ webhook_secret: string }>(
    "select webhook_secret from psp_simulator.account",
  );
  const { sign } = await import("../../services/payment/psp/signature.ts");
  const signature = sign(body, account?.webhook_secret ?? "", Math.floor(Date.now() / 1_000));
  await world.call("payment.webhook", {
    provider: "simulator",
    body,
    headers: { "x-psp-signature": signature },
  });
  await until("it is voided again", async () => {
    const attempts = await world.sql(
      "select 1 from payment_attempts where payment_id = $1 and operation = 'void' and status = 'succeeded'",
      [row?.id],
    );
    const held = await world.sql("select 1 from payments where id = $1 and held", [row?.id]);
    return attempts.length === 2 && held.length === 0;
  });
  expect(await charge(payment.gid)).toMatchObject({ status: "voided" });
});

test("a refund survives the death of its worker", async () => {
  const { paymentId, orderId } = await world.captured();
  die = { operation: "refund", when: "after" };
  const idempotency = { subject: "s", key: paymentId, operation: "refund", requestHash: "h" };
  await world.call("payment.refund", { paymentId, reason: "broken", idempotency });
  await until("it was asked or done", async () => {
    const view = await world.call("payment.get", { paymentId });
    return view.attempts.some(({ operation, status }) => operation === "refund" && status !== "pending");
  });
  die = undefined;
  await world.told(orderId, "PAYMENT_REFUNDED");
  expect(await world.call("payment.get", { paymentId })).toMatchObject({
    status: "refunded",
    refundedMinor: AMOUNT,
  });
  const [refunds] = await world.sql<{ refunded_minor: number }>(
    "select c.refunded_minor from psp_simulator.charges c join payments p on p.authorisation_id = c.id where p.id = $1",
    [paymentId],
  );
  expect(refunds?.refunded_minor).toBe(AMOUNT);
});
