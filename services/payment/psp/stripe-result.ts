import Stripe from "stripe";
import type { Operation, ProviderResult } from "./port.ts";

/** What Stripe's objects and errors mean for an attempt. */

export function intentResult(
  operation: Exclude<Operation, "refund">,
  intent: Stripe.PaymentIntent,
): ProviderResult {
  const { id: reference, status, amount, amount_received: received } = intent;
  const done = (amountMinor: number): ProviderResult => ({ kind: "succeeded", reference, amountMinor });
  const refused = (code: string): ProviderResult => ({ kind: "declined", code });
  if (status === "processing") return { kind: "unknown", code: "PROCESSING" };
  if (operation === "void") return status === "succeeded" ? refused("ALREADY_CAPTURED") : done(amount);
  if (operation === "authorise") {
    // Captured or cancelled since: it was authorised all the same.
    const granted = ["requires_capture", "succeeded", "canceled"].includes(status);
    // A card that asks its owner for more cannot be charged from here.
    return granted ? done(amount) : refused(codeOf(intent.last_payment_error?.code ?? status));
  }
  if (status === "succeeded") return done(received ?? amount);
  return refused(codeOf(status));
}

export function refundResult(refund: Stripe.Refund): ProviderResult {
  const { id: reference, status, amount: amountMinor } = refund;
  if (status === "succeeded") return { kind: "succeeded", reference, amountMinor };
  if (status === "failed" || status === "canceled")
    return { kind: "declined", code: codeOf(refund.failure_reason ?? status) };
  return { kind: "unknown", code: codeOf(status ?? "pending") };
}

/** A refusal for certain; undefined for whatever may have happened all the same, or is our own fault. */
export function refusalOf(error: unknown): (ProviderResult & { readonly kind: "declined" }) | undefined {
  const isRefusal =
    error instanceof Stripe.errors.StripeCardError ||
    error instanceof Stripe.errors.StripeInvalidRequestError;
  if (!isRefusal) return undefined;
  // A request of the same key is still under way.
  if (error.statusCode === 409) return undefined;
  return { kind: "declined", code: codeOf(error.decline_code || error.code || "refused") };
}

/** Stripe's snake_case as one of our codes. */
export function codeOf(code: string): string {
  return code.toUpperCase().replace(/[^A-Z0-9]+/g, "_");
}
