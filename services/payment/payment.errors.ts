import { Errors } from "moleculer";
import { RuleViolationError, StateConflictError } from "../../lib/errors.ts";

const { MoleculerClientError, MoleculerRetryableError } = Errors;

/** 402: the provider has refused for certain; asking again changes nothing. */
export class PaymentDeclinedError extends MoleculerClientError {
  constructor(paymentId: string, errorCode: string) {
    super("The payment was declined.", 402, "PAYMENT_DECLINED", { paymentId, errorCode });
  }
}

/** 504: the provider has not answered yet; asking again finds out, and never pays twice. */
export class PaymentUnknownError extends MoleculerRetryableError {
  constructor(paymentId: string, errorCode: string) {
    super("The provider's answer is not known yet.", 504, "PAYMENT_UNKNOWN", { paymentId, errorCode });
  }
}

/** 503: the provider will not let go of an authorisation; asked again, and an alarm. */
export class VoidRefusedError extends MoleculerRetryableError {
  constructor(paymentId: string, errorCode: string) {
    super("The provider refused to void.", 503, "PAYMENT_VOID_REFUSED", { paymentId, errorCode });
  }
}

/** 409: another payment of the order has been captured, or is being captured. */
export class AlreadyCapturedError extends StateConflictError {
  constructor(orderId: string) {
    super("The order has been paid.", "PAYMENT_ALREADY_CAPTURED", { orderId });
  }
}

/** 409: there is nothing to give back, for nothing was taken. */
export class NotCapturedError extends StateConflictError {
  constructor(paymentId: string) {
    super("The payment was not captured.", "PAYMENT_NOT_CAPTURED", { paymentId });
  }
}

/** 422: more than what was captured and not given back yet. */
export class RefundExceedsCapturedError extends RuleViolationError {
  constructor(paymentId: string, amountMinor: number, refundableMinor: number) {
    super("Not so much is left to refund.", "REFUND_EXCEEDS_CAPTURED", {
      paymentId,
      amountMinor,
      refundableMinor,
    });
  }
}

/** 401: not signed, or not with a secret of ours. */
export class WebhookSignatureError extends MoleculerClientError {
  constructor() {
    super("The signature does not hold.", 401, "WEBHOOK_SIGNATURE_INVALID");
  }
}

/** 401: signed, but not lately: it may be a replay. */
export class WebhookTooOldError extends MoleculerClientError {
  constructor() {
    super("The signature's time is more than five minutes away.", 401, "WEBHOOK_TOO_OLD");
  }
}

/** 400: signed by the provider, and not an event that we can read. */
export class WebhookMalformedError extends MoleculerClientError {
  constructor(message: string) {
    super(message, 400, "WEBHOOK_MALFORMED");
  }
}

/** 422: the provider tells of another amount than it was asked for. */
export class WebhookAmountError extends RuleViolationError {
  constructor(attemptId: string, expectedMinor: number, toldMinor: number) {
    super("The amount is not the one asked for.", "WEBHOOK_AMOUNT_MISMATCH", {
      attemptId,
      expectedMinor,
      toldMinor,
    });
  }
}
