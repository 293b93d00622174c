import { createServer } from "node:http";
import Stripe from "stripe";
import { type LocalStripe, provisionLocalStripe, startLocalStripe } from "../support/localstripe.ts";
import { useServer } from "../support/service-database.ts";
import { type StripeProxy, startStripeProxy } from "../support/stripe-proxy.ts";
import { until } from "../support/until.ts";
import { AMOUNT, claim, openPayments, type PaymentWorld, params } from "./payment.world.ts";

/** The payment service on the Stripe adapter, against a Stripe that others wrote. */

const SECRETS = ["whsec_next", "whsec_now"] as const;
const server = useServer();
let missing: string | undefined;
let local: LocalStripe | undefined;
let proxy: StripeProxy;
let stripe: Stripe;
let world: PaymentWorld;
let stopWebhooks: () => void = () => undefined;

beforeAll(async () => {
  missing = await provisionLocalStripe();
  if (missing !== undefined) {
    if (process.env.CI) throw new Error(`the Stripe adapter's tests need ${missing}`);
    console.warn(`SKIPPED: the Stripe adapter: needs ${missing}`);
    return;
  }
  local = await startLocalStripe();
  proxy = await startStripeProxy(local.url);
  const { hostname: host, port } = new URL(proxy.url);
  stripe = new Stripe("sk_test_123", { host, port, protocol: "http", telemetry: false });
  world = await openPayments(server, {
    PSP_PROVIDER: "stripe",
    PSP_TIMEOUT_MS: "5000",
    STRIPE_SECRET_KEY: "sk_test_123",
    STRIPE_API_URL: proxy.url,
    PSP_WEBHOOK_SECRETS: SECRETS.join(","),
  });
  stopWebhooks = await receiveWebhooks(local.url);
}, 240_000);
afterAll(async () => {
  stopWebhooks();
  await world?.stop();
  await proxy?.stop();
  local?.stop();
});

const acknowledged: string[] = [];

/** Passes localstripe's webhooks on as the gateway would: raw body, headers, 200 only after the commit. */
async function receiveWebhooks(url: string): Promise<() => void> {
  const receiver = createServer((request, response) => {
    const receive = async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      const headers = { "stripe-signature": String(request.headers["stripe-signature"]) };
      await world.call("payment.webhook", { provider: "stripe", body, headers });
      acknowledged.push(JSON.parse(body).type);
      response.writeHead(200).end();
    };
    receive().catch(() => response.writeHead(401).end());
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const address = receiver.address();
  if (typeof address !== "object" || address === null) throw new Error("the receiver has no port");
  await fetch(`${url}/_config/webhooks/ours`, {
    method: "POST",
    headers: { authorization: "Bearer sk_test_123", "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ url: `http://127.0.0.1:${address.port}`, secret: SECRETS[1] }).toString(),
  });
  return () => receiver.close();
}

const card = async (number = "4242424242424242") => {
  const asked = { type: "card", card: { number, exp_month: 12, exp_year: 2030, cvc: "123" } } as const;
  return (await stripe.paymentMethods.create(asked)).id;
};
const intents = async (orderId: string) => {
  const { data } = await stripe.paymentIntents.list({ limit: 100 });
  return data.filter(({ metadata }) => metadata.order_id === orderId);
};

/** A test that is skipped, aloud, where localstripe cannot run. */
const onStripe = (name: string, run: () => Promise<void>) =>
  test(name, async () => {
    if (missing === undefined) await run();
  });

onStripe("authorise, capture and refund in part, then the rest", async () => {
  const asked = params(await card());
  const { paymentId } = await world.call("payment.try", asked);
  expect(await intents(asked.orderId)).toMatchObject([
    { status: "requires_capture", amount: AMOUNT, currency: "eur" },
  ]);
  expect(await world.call("payment.confirm", { gid: asked.gid })).toMatchObject({ status: "captured" });
  expect(await intents(asked.orderId)).toMatchObject([{ status: "succeeded" }]);
  for (const amountMinor of [45, undefined]) {
    const idempotency = claim();
    await world.call("payment.refund", {
      paymentId,
      reason: "r",
      idempotency,
      ...(amountMinor && { amountMinor }),
    });
  }
  await world.told(asked.orderId, "PAYMENT_REFUNDED", 2);
  const [intent] = await intents(asked.orderId);
  const { data } = await stripe.refunds.list({ payment_intent: intent?.id ?? "" });
  expect(data.reduce((sum, { amount }) => sum + amount, 0)).toBe(AMOUNT);
  expect(await world.call("payment.get", { paymentId })).toMatchObject({ status: "refunded" });
});

onStripe("a declined card fails the payment", async () => {
  const asked = params(await card("4000000000000341"));
  for (let times = 0; times < 2; times += 1) {
    await expect(world.call("payment.try", asked)).rejects.toMatchObject({
      type: "PAYMENT_DECLINED",
      data: { errorCode: "CARD_DECLINED" },
    });
  }
});

onStripe("a payment method that does not exist is a refusal", async () => {
  await expect(world.call("payment.try", params("pm_nothing"))).rejects.toMatchObject({
    type: "PAYMENT_DECLINED",
  });
});

onStripe("a cancel gives the authorisation back", async () => {
  const asked = params(await card());
  await world.call("payment.try", asked);
  expect(await world.call("payment.cancel", { gid: asked.gid })).toMatchObject({ status: "voided" });
  expect(await intents(asked.orderId)).toMatchObject([{ status: "canceled" }]);
});

onStripe("an authorisation whose answer is lost is made once", async () => {
  const asked = params(await card());
  proxy.loseAnswer(/payment_intents$/);
  await expect(world.call("payment.try", asked)).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
  expect(await world.call("payment.try", asked)).toMatchObject({ status: "reserved" });
  expect(await intents(asked.orderId)).toHaveLength(1);
});

onStripe("a capture whose answer is lost is found out by looking", async () => {
  const asked = params(await card());
  await world.call("payment.try", asked);
  proxy.loseAnswer(/capture$/);
  await expect(world.call("payment.confirm", { gid: asked.gid })).rejects.toMatchObject({
    type: "PAYMENT_UNKNOWN",
  });
  expect(await world.call("payment.confirm", { gid: asked.gid })).toMatchObject({ status: "captured" });
  const [intent] = await intents(asked.orderId);
  const captures = proxy.carriedOut.filter((one) => one === `POST /v1/payment_intents/${intent?.id}/capture`);
  expect(captures).toHaveLength(1);
});

onStripe("a capture that never arrived is made", async () => {
  const asked = params(await card());
  await world.call("payment.try", asked);
  proxy.loseRequest(/capture$/);
  await expect(world.call("payment.confirm", { gid: asked.gid })).rejects.toMatchObject({
    type: "PAYMENT_UNKNOWN",
  });
  expect(await world.call("payment.confirm", { gid: asked.gid })).toMatchObject({ status: "captured" });
});

onStripe("a cancel of an authorisation whose answer was lost gives it back", async () => {
  for (const lose of [proxy.loseAnswer, proxy.loseRequest]) {
    const asked = params(await card());
    lose(/payment_intents$/);
    await expect(world.call("payment.try", asked)).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
    expect(await world.call("payment.cancel", { gid: asked.gid })).toMatchObject({ status: "voided" });
    expect(await intents(asked.orderId)).toMatchObject([{ status: "canceled" }]);
    await expect(world.call("payment.try", asked)).rejects.toMatchObject({ type: "TCC_HANGING" });
  }
});

onStripe("a refund whose answer is lost is made once", async () => {
  const asked = params(await card());
  const { paymentId } = await world.call("payment.try", asked);
  await world.call("payment.confirm", { gid: asked.gid });
  proxy.loseAnswer(/refunds$/);
  await world.call("payment.refund", { paymentId, reason: "r", idempotency: claim() });
  await world.told(asked.orderId, "PAYMENT_REFUNDED");
  const [intent] = await intents(asked.orderId);
  const { data } = await stripe.refunds.list({ payment_intent: intent?.id ?? "" });
  expect(data).toHaveLength(1);
});

onStripe("Stripe's own webhook settles a capture whose answer is lost", async () => {
  const asked = params(await card());
  const { paymentId } = await world.call("payment.try", asked);
  proxy.loseAnswer(/capture$/);
  await expect(world.call("payment.confirm", { gid: asked.gid })).rejects.toMatchObject({
    type: "PAYMENT_UNKNOWN",
  });
  await until("the webhook has come", async () => {
    const { status } = await world.call("payment.get", { paymentId });
    return status === "captured";
  });
  expect(acknowledged).toContain("payment_intent.succeeded");
  await world.told(asked.orderId, "PAYMENT_COMPLETED");
});

onStripe("a webhook is taken under any of our secrets, and under no other", async () => {
  const payload = JSON.stringify({ id: "evt_1", object: "event", type: "payout.paid", data: { object: {} } });
  const deliver = (secret: string, timestamp?: number, body = payload) => {
    const header = stripe.webhooks.generateTestHeaderString({
      payload,
      secret,
      ...(timestamp && { timestamp }),
    });
    return world.call("payment.webhook", {
      provider: "stripe",
      body,
      headers: { "stripe-signature": header },
    });
  };
  for (const secret of SECRETS) expect(await deliver(secret)).toEqual({ received: true });
  await expect(deliver("whsec_forged")).rejects.toMatchObject({ type: "WEBHOOK_SIGNATURE_INVALID" });
  await expect(deliver(SECRETS[0], undefined, `${payload} `)).rejects.toMatchObject({
    type: "WEBHOOK_SIGNATURE_INVALID",
  });
  const old = Math.floor(Date.now() / 1_000) - 301;
  await expect(deliver(SECRETS[0], old)).rejects.toMatchObject({ type: "WEBHOOK_TOO_OLD" });
  await expect(
    world.call("payment.webhook", { provider: "stripe", body: payload, headers: {} }),
  ).rejects.toMatchObject({ type: "WEBHOOK_SIGNATURE_INVALID" });
});
