import Stripe from "stripe";
import { useServer } from "../support/service-database.ts";
import { AMOUNT } from "./payment.world.ts";
import { eventId, now, openWebhooks, SECRETS, type Waiting, type WebhookWorld } from "./webhook.world.ts";

/** POST /api/payments/webhooks/stripe, signed by Stripe's own library. Stripe itself is away: it only tells. */

const server = useServer();
const stripe = new Stripe("sk_test_123");
let world: WebhookWorld;

beforeAll(async () => {
  world = await openWebhooks(server, "stripe", {
    STRIPE_SECRET_KEY: "sk_test_123",
    // Nobody listens at port 1: what was asked stays unanswered.
    STRIPE_API_URL: "http://127.0.0.1:1",
  });
}, 60_000);
afterAll(() => world.stop());

const signed = (payload: string, secret: string = SECRETS[0], timestamp = now()) => ({
  "stripe-signature": stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp }),
});
const intent = ({ attemptId }: Waiting, amount = AMOUNT) => ({
  id: eventId(),
  object: "event",
  type: "payment_intent.amount_capturable_updated",
  data: { object: { id: "pi_1", object: "payment_intent", amount, metadata: { attempt_id: attemptId } } },
});
const send = (event: object) => world.deliver(JSON.stringify(event), signed(JSON.stringify(event)));

test("an authorisation whose answer was lost is settled by the webhook, once", async () => {
  const payment = await world.waiting("pm_card_visa");
  const event = intent(payment);
  expect(await send(event)).toMatchObject({ status: 200, body: { received: true } });
  expect(await world.statusOf(payment.paymentId)).toBe("reserved");
  expect((await send(event)).status).toBe(200);
  await world.told(payment.orderId, "PAYMENT_RESERVED");
  expect(world.events(payment.orderId)).toHaveLength(1);
});

test("another amount than was asked for is refused", async () => {
  const payment = await world.waiting("pm_card_visa");
  expect(await send(intent(payment, AMOUNT - 1))).toMatchObject({
    status: 422,
    body: { code: "WEBHOOK_AMOUNT_MISMATCH" },
  });
  expect(await world.statusOf(payment.paymentId)).toBe("initiated");
});

test.each([
  ["without a signature", () => ({}), "WEBHOOK_SIGNATURE_INVALID"],
  ["with a forged one", (body: string) => signed(body, "whsec_forged"), "WEBHOOK_SIGNATURE_INVALID"],
  ["with an old one", (body: string) => signed(body, SECRETS[0], now() - 301), "WEBHOOK_TOO_OLD"],
])("%s nothing is taken", async (_, headers, code) => {
  const payment = await world.waiting("pm_card_visa");
  const event = intent(payment);
  const body = JSON.stringify(event);
  expect(await world.deliver(body, headers(body))).toMatchObject({ status: 401, body: { code } });
  expect(await world.noted(event.id)).toEqual([]);
  expect(await world.statusOf(payment.paymentId)).toBe("initiated");
});

test("what is none of our business is acknowledged and noted", async () => {
  const event = { id: eventId(), object: "event", type: "payout.paid", data: { object: {} } };
  expect((await send(event)).status).toBe(200);
  expect(await world.noted(event.id)).toEqual([{ result: "ignored" }]);
});
