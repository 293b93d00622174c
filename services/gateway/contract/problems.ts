/** Every code that an answer of this API can carry: its status, and when it is given. The one list of them. */

const define = <const Codes extends Readonly<Record<string, readonly [status: number, about: string]>>>(
  codes: Codes,
) => codes;

export const PROBLEMS = define({
  MALFORMED_REQUEST: [400, "It is not HTTP as we can read it; the connection is closed."],
  MALFORMED_URL: [400, "The address cannot be decoded."],
  MALFORMED_JSON: [400, "The body is empty or not valid JSON."],
  IDEMPOTENCY_KEY_MISSING: [400, "The operation needs an `Idempotency-Key`."],
  IDEMPOTENCY_KEY_INVALID: [
    400,
    "The `Idempotency-Key` is not 1 to 255 visible ASCII characters, or came twice.",
  ],
  WEBHOOK_MALFORMED: [400, "The webhook is signed, and not an event that we can read."],
  UNAUTHENTICATED: [401, "There is no bearer token, or it does not hold."],
  WEBHOOK_SIGNATURE_INVALID: [401, "The webhook is not signed with a secret of ours."],
  WEBHOOK_TOO_OLD: [401, "The webhook's signature is more than five minutes old."],
  PAYMENT_DECLINED: [402, "The payment provider has refused; asking again changes nothing."],
  FORBIDDEN: [403, "The token holds, and its roles do not allow this."],
  FAULT_INJECTION_OFF: [403, "Faults are armed in demo mode only, or where FAULT_INJECTION is set."],
  NOT_FOUND: [404, "There is nothing at this address."],
  ORDER_NOT_FOUND: [404, "There is no such order, or it is another customer's."],
  SAGA_NOT_FOUND: [404, "There is no such saga, or it is another customer's."],
  TRANSACTION_NOT_FOUND: [404, "There is no such transaction, or it is another customer's."],
  PRODUCT_NOT_FOUND: [404, "There is no such product."],
  CUSTOMER_NOT_FOUND: [404, "There is no such customer."],
  PAYMENT_NOT_FOUND: [404, "There is no such payment, or it is another customer's."],
  LETTER_NOT_FOUND: [404, "There is no such dead letter."],
  PROVIDER_NOT_FOUND: [404, "No payment provider of this name is configured."],
  METHOD_NOT_ALLOWED: [405, "The address exists, with the methods of the `Allow` header."],
  REQUEST_INCOMPLETE: [408, "The request did not arrive in time; the connection is closed."],
  REQUEST_IN_PROGRESS: [
    409,
    "The first request under this key is still being worked on: ask again after `Retry-After`.",
  ],
  ORDER_STATE_CONFLICT: [409, "The order's status does not allow this."],
  CUSTOMER_EMAIL_TAKEN: [409, "Another customer has this e-mail address."],
  SKU_TAKEN: [409, "Another product has this SKU."],
  STOCK_OUT_OF_RANGE: [409, "What would be left is below zero or beyond the limit."],
  STOCK_HELD: [409, "The reservation is held by another transaction."],
  STOCK_NOT_RESERVED: [409, "The order has no reservation that could be held."],
  TCC_HANGING: [409, "The try comes after its cancel."],
  TCC_NOT_TRIED: [409, "There is nothing to confirm: the try never came."],
  TCC_CONFIRM_AFTER_CANCEL: [409, "What is cancelled cannot be confirmed."],
  TCC_CANCEL_AFTER_CONFIRM: [409, "What is confirmed cannot be cancelled."],
  PAYMENT_ALREADY_CAPTURED: [409, "The order has been paid."],
  PAYMENT_NOT_CAPTURED: [409, "Nothing was taken, so nothing can be given back."],
  PAYMENT_STATE_CONFLICT: [409, "The payment's status does not allow this."],
  PAY_ATTEMPTS_EXHAUSTED: [409, "The order has been tried to be paid too often; place a new one."],
  OPERATION_NOT_POSSIBLE: [409, "The saga or transaction cannot take that in its state."],
  BODY_TOO_LARGE: [413, "The body is larger than 64 KB."],
  UNSUPPORTED_MEDIA_TYPE: [415, "The body is not `application/json` in UTF-8, or is compressed."],
  VALIDATION_FAILED: [422, "The request breaks its schema: `errors` names the fields."],
  CURSOR_INVALID: [422, "The cursor is not one that this API gave out."],
  IDEMPOTENCY_KEY_REUSED: [422, "The key was used before, for another operation or payload."],
  OUT_OF_STOCK: [422, "Less is in stock than was asked for."],
  REFUND_EXCEEDS_CAPTURED: [422, "Less is left to refund than was asked for."],
  WEBHOOK_AMOUNT_MISMATCH: [422, "The webhook tells of another amount than was asked for."],
  RATE_LIMITED: [
    429,
    "More requests of this subject or address than its limit allows. Ask again after `Retry-After`.",
  ],
  TOO_MANY_STREAMS: [429, "The subject follows as many orders at once as it may."],
  TOO_MANY_UNPAID_ORDERS: [
    429,
    "The customer has as many unpaid orders as one may have: pay or cancel some.",
  ],
  HEADERS_TOO_LARGE: [431, "Address and headers are larger than 16 KB; the connection is closed."],
  INTERNAL_ERROR: [500, "Something went wrong on our side. The correlation id finds it in the logs."],
  SERVICE_NOT_AVAILABLE: [503, "A part of the system is away. Repeat later, under the same key."],
  PERSONAL_DATA_KEY_MISSING: [503, "Its key is not here yet: keys are being changed. Repeat later."],
  DATABASE_UNAVAILABLE: [503, "A database cannot be reached; nothing was changed."],
  DATABASE_BUSY: [503, "Locks of others, or a statement that took too long; nothing was changed."],
  COMMIT_OUTCOME_UNKNOWN: [503, "It may or may not have happened: repeat under the same key to find out."],
  KEYS_UNAVAILABLE: [503, "The keys that tokens are checked against cannot be read."],
  REVOCATIONS_UNAVAILABLE: [503, "It is not known which tokens are revoked."],
  OVERLOADED: [503, "Too much work is waiting. Repeat later."],
  PAYMENT_UNKNOWN: [503, "The provider has not answered yet. Asking again finds out, and never pays twice."],
  PAYMENT_VOID_REFUSED: [503, "The provider does not let go of the authorisation yet."],
  DEADLINE_PASSED: [504, "The request's time was over before the work began; nothing was changed."],
  REQUEST_TIMEOUT: [504, "No answer in time; it may have happened. Repeat under the same key."],
});

export type ProblemCode = keyof typeof PROBLEMS;

export const statusOf = (code: ProblemCode): number => PROBLEMS[code][0];

/** What any request may be answered, whatever it asks for. */
export const ALWAYS: readonly ProblemCode[] = [
  "MALFORMED_REQUEST",
  "REQUEST_INCOMPLETE",
  "HEADERS_TOO_LARGE",
  "MALFORMED_URL",
  "VALIDATION_FAILED",
  "INTERNAL_ERROR",
  "SERVICE_NOT_AVAILABLE",
  "DATABASE_UNAVAILABLE",
  "DATABASE_BUSY",
  "COMMIT_OUTCOME_UNKNOWN",
  "RATE_LIMITED",
  "OVERLOADED",
  "DEADLINE_PASSED",
  "REQUEST_TIMEOUT",
];
export const OF_TOKENS: readonly ProblemCode[] = [
  "UNAUTHENTICATED",
  "KEYS_UNAVAILABLE",
  "REVOCATIONS_UNAVAILABLE",
  "FORBIDDEN",
];
export const OF_BODIES: readonly ProblemCode[] = [
  "MALFORMED_JSON",
  "BODY_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
];
export const OF_KEYS: readonly ProblemCode[] = [
  "IDEMPOTENCY_KEY_INVALID",
  "IDEMPOTENCY_KEY_REUSED",
  "REQUEST_IN_PROGRESS",
];
