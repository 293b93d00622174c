import Stripe from "stripe";
import { WebhookSignatureError, WebhookTooOldError } from "../payment.errors.ts";
import type { LookupResult, Provider, ProviderRequest, ProviderResult } from "./port.ts";
import { TOLERANCE_SECONDS } from "./signature.ts";
import { providerEventOf } from "./stripe-event.ts";
import { intentResult, refundResult, refusalOf } from "./stripe-result.ts";

export interface StripeOptions {
  readonly secretKey: string;
  /** Stripe's API, where it is not Stripe's own. */
  readonly apiUrl?: string;
  readonly timeoutMs: number;
  readonly webhookSecrets: readonly string[];
}

/**
 * Stripe: an authorisation is a PaymentIntent with manual capture, every attempt's id the idempotency key of its
 * request. Stripe keeps keys for 24 hours at least, and a hold of ours ends after minutes: within that time, to
 * send a request again is to ask what became of it.
 */
export function createStripe(options: StripeOptions): Provider {
  const stripe = openStripe(options);
  return {
    name: "stripe",
    authorise: (request) =>
      settled(() => createIntent(stripe, request).then((intent) => intentResult("authorise", intent))),
    capture: (request) =>
      settled(
        async () => {
          const amount = { amount_to_capture: request.amountMinor };
          const intent = await stripe.paymentIntents.capture(referenceOf(request), amount, keyOf(request));
          return intentResult("capture", intent);
        },
        () => lookupIntent(stripe, request),
      ),
    void: (request) => voidIntent(stripe, request),
    refund: (request) =>
      settled(async () => {
        const { amountMinor: amount, attemptId } = request;
        const asked = { payment_intent: referenceOf(request), amount, metadata: { attempt_id: attemptId } };
        return refundResult(await stripe.refunds.create(asked, keyOf(request)));
      }),
    lookup: (request) => lookup(stripe, request),
    async readWebhook({ body, headers }) {
      const header = headers["stripe-signature"] ?? "";
      return providerEventOf(readEvent(stripe, body, header, options.webhookSecrets));
    },
  };
}

function openStripe({ secretKey, apiUrl, timeoutMs }: StripeOptions): Stripe {
  // Repeating is ours: from the attempt that is committed, not in the memory of a client.
  const common = { timeout: timeoutMs, maxNetworkRetries: 0, telemetry: false };
  if (apiUrl === undefined) return new Stripe(secretKey, common);
  const { hostname: host, port, protocol } = new URL(apiUrl);
  return new Stripe(secretKey, {
    ...common,
    host,
    ...(port && { port }),
    protocol: protocol === "http:" ? "http" : "https",
  });
}

function keyOf({ attemptId }: ProviderRequest) {
  return { idempotencyKey: attemptId };
}

function referenceOf({ authorisation }: ProviderRequest): string {
  if (authorisation.reference === undefined)
    throw new TypeError("the authorisation has no PaymentIntent yet");
  return authorisation.reference;
}

/** The same parameters and key always: also when it is sent to learn what its first sending made. */
function createIntent(stripe: Stripe, { authorisation }: ProviderRequest): Promise<Stripe.PaymentIntent> {
  const { id, orderId, amountMinor: amount, currency, paymentMethod } = authorisation;
  return stripe.paymentIntents.create(
    {
      amount,
      currency: currency.toLowerCase(),
      payment_method: paymentMethod,
      // A card whose owner would have to be asked is refused: nobody sits before this request.
      allowed_payment_method_types: ["card"],
      error_on_requires_action: true,
      capture_method: "manual",
      confirm: true,
      metadata: { attempt_id: id, order_id: orderId },
    },
    { idempotencyKey: id },
  );
}

/**
 * What a request came to. A refusal of Stripe's is looked at again, where the state may explain it: a capture
 * that is refused because it has been made before has been made.
 */
async function settled(
  run: () => Promise<ProviderResult>,
  recheck?: () => Promise<LookupResult>,
): Promise<ProviderResult> {
  try {
    return await run();
  } catch (error) {
    const refusal = refusalOf(error);
    if (!refusal) throw error;
    const found = await recheck?.();
    return found && found.kind !== "absent" ? found : refusal;
  }
}

/** Of an authorisation whose answer was lost, the PaymentIntent is learnt first: under its key it is made once. */
async function voidIntent(stripe: Stripe, request: ProviderRequest): Promise<ProviderResult> {
  const { authorisation, amountMinor, attemptId } = request;
  let id = authorisation.reference;
  if (id === undefined) {
    try {
      id = (await createIntent(stripe, request)).id;
    } catch (error) {
      if (!refusalOf(error)) throw error;
      // Refused, so that nothing is held.
      return { kind: "succeeded", reference: attemptId, amountMinor };
    }
  }
  const known = { ...request, authorisation: { ...authorisation, reference: id } };
  return settled(
    async () =>
      intentResult("void", await stripe.paymentIntents.cancel(referenceOf(known), {}, keyOf(request))),
    () => lookupIntent(stripe, known),
  );
}

async function lookupIntent(stripe: Stripe, request: ProviderRequest): Promise<LookupResult> {
  const intent = await stripe.paymentIntents.retrieve(referenceOf(request));
  const { operation } = request;
  if (operation === "refund") throw new TypeError("a refund is not in the PaymentIntent");
  const isOpen = operation !== "authorise" && intent.status === "requires_capture";
  return isOpen ? { kind: "absent" } : intentResult(operation, intent);
}

const REFUNDS_MAX = 100;

async function lookup(stripe: Stripe, request: ProviderRequest): Promise<LookupResult> {
  // Nothing to look for yet: sent again under its key, the request finds out.
  if (request.authorisation.reference === undefined) return { kind: "absent" };
  if (request.operation !== "refund") return lookupIntent(stripe, request);
  const refunds = await stripe.refunds.list({ payment_intent: referenceOf(request), limit: REFUNDS_MAX });
  const refund = refunds.data.find(({ metadata }) => metadata?.attempt_id === request.attemptId);
  return refund ? refundResult(refund) : { kind: "absent" };
}

/** @throws WebhookSignatureError, WebhookTooOldError */
function readEvent(stripe: Stripe, body: string, header: string, secrets: readonly string[]): Stripe.Event {
  let refusal: Error = new WebhookSignatureError();
  for (const secret of secrets) {
    try {
      return stripe.webhooks.constructEvent(body, header, secret, TOLERANCE_SECONDS);
    } catch (error) {
      if (/tolerance/.test(String(error))) refusal = new WebhookTooOldError();
    }
  }
  throw refusal;
}
