import type { LookupResult, ProviderRequest, ProviderResult } from "../../../services/payment/psp/port.ts";

/** A payment provider by its port's contract. Lenient where ours must be strict: two keys capture twice. */

interface Authorisation {
  state: "absent" | "held" | "declined" | "voided";
  captures: number;
  refundedMinor: number;
}

export class ModelProvider {
  private readonly outcomes = new Map<string, ProviderResult>();
  private readonly authorisations = new Map<string, Authorisation>();
  /** Captures less whole refunds, by order: what the customer has paid. */
  readonly paid = new Map<string, { captures: number; capturedMinor: number; refundedMinor: number }>();

  lookup({ attemptId }: ProviderRequest): LookupResult {
    return this.outcomes.get(attemptId) ?? { kind: "absent" };
  }

  /** Money that is still set aside for an order which nobody captures or lets go. */
  holds(authorisationId: string): boolean {
    const known = this.authorisations.get(authorisationId);
    return known?.state === "held" && known.captures === 0;
  }

  perform(request: ProviderRequest): ProviderResult {
    const known = this.outcomes.get(request.attemptId);
    if (known) return known;
    const reason = this.refusal(request);
    const { attemptId: reference, amountMinor } = request;
    const result: ProviderResult = reason
      ? { kind: "declined", code: reason }
      : { kind: "succeeded", reference, amountMinor };
    this.outcomes.set(request.attemptId, result);
    return result;
  }

  private refusal({ operation, authorisation, amountMinor }: ProviderRequest): string | undefined {
    const { id, orderId, paymentMethod } = authorisation;
    const known = this.authorisations.get(id) ?? { state: "absent", captures: 0, refundedMinor: 0 };
    this.authorisations.set(id, known);
    const paid = this.paid.get(orderId) ?? { captures: 0, capturedMinor: 0, refundedMinor: 0 };
    this.paid.set(orderId, paid);
    if (operation === "authorise") {
      // Voided before it came: it succeeds, and holds nothing.
      if (known.state === "voided") return undefined;
      known.state = paymentMethod === "declined" ? "declined" : "held";
      return known.state === "declined" ? "CARD_DECLINED" : undefined;
    }
    if (operation === "void") {
      if (known.captures > 0) return "ALREADY_CAPTURED";
      if (known.state !== "declined") known.state = "voided";
      return undefined;
    }
    if (operation === "capture") {
      if (known.state !== "held" || paymentMethod === "capture_declined") return "CAPTURE_DECLINED";
      known.captures += 1;
      paid.captures += 1;
      paid.capturedMinor += amountMinor;
      return undefined;
    }
    if (known.refundedMinor + amountMinor > paid.capturedMinor) return "TOO_MUCH";
    known.refundedMinor += amountMinor;
    paid.refundedMinor += amountMinor;
    return undefined;
  }
}
