/**
 * The provider port: what Holdfast needs of a payment provider, and no more. Every operation carries a key, the
 * id of an attempt that is committed already; the same key always means the same operation and gets the same
 * outcome.
 */

export type Operation = "authorise" | "capture" | "void" | "refund";

export type ProviderResult =
  /** `amountMinor`: what the provider says it did, to be held against what it was asked. */
  | { readonly kind: "succeeded"; readonly reference: string; readonly amountMinor: number }
  | { readonly kind: "declined"; readonly code: string }
  /** It may have happened or may still happen: neither success nor failure, to be asked about again. */
  | { readonly kind: "unknown"; readonly code: string };

/** What a lookup finds; "absent": the provider has never seen the key. */
export type LookupResult = ProviderResult | { readonly kind: "absent" };

/** The hold that all operations of a payment are about, as it was asked for. */
export interface Authorisation {
  /** Key of the attempt that authorised. */
  readonly id: string;
  readonly orderId: string;
  readonly amountMinor: number;
  readonly currency: string;
  readonly paymentMethod: string;
  /** The provider's own name of it, once known. */
  readonly reference?: string;
}

export interface ProviderRequest {
  readonly operation: Operation;
  /** Id of the attempt: the provider's idempotency key. */
  readonly attemptId: string;
  readonly amountMinor: number;
  readonly authorisation: Authorisation;
}

/** What a provider tells by itself. */
export interface ProviderEvent {
  readonly eventId: string;
  readonly type: string;
  /** Undefined: nothing that concerns us; acknowledged and noted. */
  readonly about?: {
    readonly operation: Operation;
    /** Key of the attempt, or of the authorisation whose latest such attempt is meant. */
    readonly attemptId?: string;
    readonly authorisationId?: string;
    readonly result: ProviderResult;
  };
}

export interface WebhookRequest {
  /** The raw bytes as text; the signature is over them. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Provider {
  readonly name: string;
  authorise(request: ProviderRequest, signal: AbortSignal): Promise<ProviderResult>;
  capture(request: ProviderRequest, signal: AbortSignal): Promise<ProviderResult>;
  /** Also when the authorisation's outcome is unknown: afterwards it holds nothing, even if it arrives later. */
  void(request: ProviderRequest, signal: AbortSignal): Promise<ProviderResult>;
  refund(request: ProviderRequest, signal: AbortSignal): Promise<ProviderResult>;
  /** What became of an attempt. */
  lookup(request: ProviderRequest, signal: AbortSignal): Promise<LookupResult>;
  /** @throws WebhookSignatureError, WebhookTooOldError, WebhookMalformedError */
  readWebhook(request: WebhookRequest): Promise<ProviderEvent>;
  start?(): Promise<void>;
  stop?(): Promise<void>;
}
