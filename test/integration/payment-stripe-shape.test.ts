import { randomUUID } from "node:crypto";
import type { Operation, ProviderRequest } from "../../services/payment/psp/port.ts";
import { createStripe } from "../../services/payment/psp/stripe.ts";
import { provisionStripeMock, type StripeMock, startStripeMock } from "../support/stripe-mock.ts";

/** Every request of the Stripe adapter has the shape that Stripe's own OpenAPI document asks for. */

let missing: string | undefined;
let mock: StripeMock | undefined;

beforeAll(async () => {
  missing = await provisionStripeMock();
  if (missing === undefined) mock = await startStripeMock();
  else console.warn(`SKIPPED: the shape of requests to Stripe: needs ${missing}`);
}, 320_000);
afterAll(() => mock?.stop());

const adapter = () =>
  createStripe({
    secretKey: "sk_test_123",
    apiUrl: mock?.url,
    timeoutMs: 10_000,
    webhookSecrets: ["whsec_test"],
  });

function request(operation: Operation): ProviderRequest {
  const reference = operation === "authorise" ? undefined : "pi_123";
  const hold = { id: randomUUID(), orderId: randomUUID(), amountMinor: 1_500, currency: "EUR" };
  const authorisation = { ...hold, paymentMethod: "pm_card_visa", ...(reference && { reference }) };
  return { attemptId: randomUUID(), operation, amountMinor: 1_500, authorisation };
}

const { signal } = new AbortController();

// It refuses what the document does not allow as an invalid request, without a code: REFUSED, here. Everything else it
// answers with the example of the document, whatever was asked.
const REFUSED = { kind: "declined", code: "REFUSED" };

test.each(["authorise", "capture", "void", "refund"] as const)(
  "%s: Stripe's document allows it",
  async (operation) => {
    if (mock === undefined) return;
    await expect(adapter()[operation](request(operation), signal)).resolves.not.toEqual(REFUSED);
  },
);

test.each(["authorise", "capture", "refund"] as const)(
  "lookup of %s: Stripe's document allows it",
  async (operation) => {
    if (mock === undefined) return;
    await expect(adapter().lookup(request(operation), signal)).resolves.not.toEqual(REFUSED);
  },
);

test("what the document does not allow is refused, so that the tests above can fail", async () => {
  if (mock === undefined) return;
  const bad = { ...request("refund"), amountMinor: Number.NaN };
  await expect(adapter().refund(bad, signal)).resolves.toEqual(REFUSED);
});
