import type Stripe from "stripe";
import type { ProviderEvent } from "./port.ts";
import { codeOf, refundResult } from "./stripe-result.ts";

/** What Stripe's webhooks tell of our attempts; of all others nothing. */

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function providerEventOf(event: Stripe.Event): ProviderEvent {
  const about = aboutOf(event);
  return { eventId: event.id, type: event.type, ...(about && { about }) };
}

function aboutOf(event: Stripe.Event): ProviderEvent["about"] {
  switch (event.type) {
    case "payment_intent.amount_capturable_updated":
      return intent("authorise", event.data.object, event.data.object.amount);
    case "payment_intent.succeeded":
      return intent(
        "capture",
        event.data.object,
        event.data.object.amount_received ?? event.data.object.amount,
      );
    case "payment_intent.canceled":
      return intent("void", event.data.object, event.data.object.amount);
    case "payment_intent.payment_failed": {
      const authorisationId = attemptOf(event.data.object.metadata);
      const code = codeOf(event.data.object.last_payment_error?.code ?? "declined");
      if (authorisationId === undefined) return undefined;
      return { operation: "authorise", authorisationId, result: { kind: "declined", code } };
    }
    case "refund.created":
    case "refund.updated":
    case "refund.failed": {
      const attemptId = attemptOf(event.data.object.metadata);
      if (attemptId === undefined) return undefined;
      return { operation: "refund", attemptId, result: refundResult(event.data.object) };
    }
    default:
      return undefined;
  }
}

function intent(
  operation: "authorise" | "capture" | "void",
  { id: reference, metadata }: Stripe.PaymentIntent,
  amountMinor: number,
): ProviderEvent["about"] {
  const authorisationId = attemptOf(metadata);
  if (authorisationId === undefined) return undefined;
  return { operation, authorisationId, result: { kind: "succeeded", reference, amountMinor } };
}

function attemptOf(metadata: Stripe.Metadata | null): string | undefined {
  const id = metadata?.attempt_id;
  return id !== undefined && UUID.test(id) ? id : undefined;
}
