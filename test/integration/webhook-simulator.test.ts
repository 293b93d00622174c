import { sign } from "../../services/payment/psp/signature.ts";
import { http } from "../support/http.ts";
import { useServer } from "../support/service-database.ts";
import { AMOUNT, expectBalanced } from "./payment.world.ts";
import { eventId, now, openWebhooks, SECRETS, type Waiting, type WebhookWorld } from "./webhook.world.ts";

/** POST /api/payments/webhooks/simulator: from the provider's HTTP request to what is committed. */

const server = useServer();
let world: WebhookWorld;

beforeAll(async () => {
  world = await openWebhooks(server, "simulator");
}, 60_000);
afterEach(() => expectBalanced(world));
afterAll(() => world.stop());

const signed = (body: string, secret: string = SECRETS[0], atSeconds = now()) => ({
  "x-psp-signature": sign(body, secret, atSeconds),
});
const authorised = ({ attemptId }: Waiting, changes: object = {}) => ({
  id: eventId(),
  type: "authorise.succeeded",
  operation: "authorise",
  attemptId,
  amountMinor: AMOUNT,
  ...changes,
});
const send = (event: object) => world.deliver(JSON.stringify(event), signed(JSON.stringify(event)));

test("what is genuine is answered 200 when it is committed, under each of the secrets", async () => {
  for (const secret of SECRETS) {
    const payment = await world.waiting("sim_callback");
    const event = authorised(payment);
    // The bytes count, not what they mean: neither order nor spaces may change on the way.
    const body = `  ${JSON.stringify(event, null, 3)}\n`;
    expect(await world.deliver(body, signed(body, secret))).toMatchObject({
      status: 200,
      body: { received: true },
    });
    expect(await world.noted(event.id)).toEqual([{ result: "settled" }]);
    expect(await world.statusOf(payment.paymentId)).toBe("reserved");
  }
});

test("the same event twice has its effect once, and is acknowledged twice", async () => {
  const payment = await world.waiting("sim_callback");
  const event = authorised(payment);
  const answers = await Promise.all([send(event), send(event), send(event)]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await send(event)).status).toBe(200);
  await world.told(payment.orderId, "PAYMENT_RESERVED");
  expect(world.events(payment.orderId)).toHaveLength(1);
});

test("a later event that comes first stands, and the earlier one changes nothing", async () => {
  const payment = await world.waiting("sim_callback");
  await send(authorised(payment));
  await world.sql("update psp_simulator.charges set decided_at = now() where id = $1", [payment.attemptId]);
  await world.call("payment.confirm", { gid: payment.gid });
  const late = authorised(payment, { type: "authorise.declined", code: "LATE" });
  expect((await send(late)).status).toBe(200);
  expect(await world.statusOf(payment.paymentId)).toBe("captured");
});

test("a wrong amount is refused, and the right one is still taken", async () => {
  const payment = await world.waiting("sim_callback");
  const event = authorised(payment);
  expect(await send({ ...event, amountMinor: AMOUNT + 1 })).toMatchObject({
    status: 422,
    body: { code: "WEBHOOK_AMOUNT_MISMATCH" },
  });
  expect(await world.noted(event.id)).toEqual([]);
  expect((await send(event)).status).toBe(200);
});

test.each([
  ["without a signature", () => ({}), "WEBHOOK_SIGNATURE_INVALID"],
  ["with a forged one", (body: string) => signed(body, "whsec_forged"), "WEBHOOK_SIGNATURE_INVALID"],
  ["with that of another body", () => signed("{}"), "WEBHOOK_SIGNATURE_INVALID"],
  ["with an old one", (body: string) => signed(body, SECRETS[0], now() - 301), "WEBHOOK_TOO_OLD"],
  ["from the future", (body: string) => signed(body, SECRETS[0], now() + 301), "WEBHOOK_TOO_OLD"],
])("%s nothing is taken", async (_, headers, code) => {
  const event = authorised(await world.waiting("sim_callback"));
  const body = JSON.stringify(event);
  expect(await world.deliver(body, headers(body))).toMatchObject({
    status: 401,
    headers: { "content-type": "application/problem+json; charset=utf-8" },
    body: { code },
  });
  expect(await world.noted(event.id)).toEqual([]);
});

test("what cannot be an event is refused by its form", async () => {
  const large = JSON.stringify({ id: eventId(), type: "x".repeat(65_536) });
  const answers = await Promise.all([
    world.deliver("not json", signed("not json")),
    world.deliver("", signed("")),
    world.deliver(large, signed(large)),
    world.deliver("{}", { ...signed("{}"), "content-encoding": "gzip" }),
  ]);
  expect(answers.map(({ status, body }) => [status, body?.code])).toEqual([
    [400, "WEBHOOK_MALFORMED"],
    [400, "WEBHOOK_MALFORMED"],
    [413, "BODY_TOO_LARGE"],
    [415, "UNSUPPORTED_MEDIA_TYPE"],
  ]);
});

test("a provider that is not ours does not exist, and the address takes only POST", async () => {
  const url = world.address;
  expect(await http(url.replace(/simulator$/, "stripe"), { method: "POST", body: "{}" })).toMatchObject({
    status: 404,
    body: { code: "PROVIDER_NOT_FOUND" },
  });
  expect(await http(url)).toMatchObject({ status: 405, headers: { allow: "POST" } });
});
