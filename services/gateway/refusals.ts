import { Errors } from "moleculer";

/** What the gateway itself refuses, before any action is called. The answers are listed in errors.ts. */
const { MoleculerClientError, MoleculerRetryableError } = Errors;

/** 401: no token, or one that does not hold. */
export class UnauthenticatedError extends MoleculerClientError {
  constructor(message: string, data: { readonly tokenGiven: boolean }) {
    super(message, 401, "UNAUTHENTICATED", data);
  }
}

/** 403: the token holds, and its roles do not allow this. */
export class ForbiddenError extends MoleculerClientError {
  constructor(message: string) {
    super(message, 403, "FORBIDDEN");
  }
}

/** 403: nobody may have this deployment fail. */
export class FaultInjectionOffError extends MoleculerClientError {
  constructor() {
    super("Faults are armed in demo mode only, or where FAULT_INJECTION is set.", 403, "FAULT_INJECTION_OFF");
  }
}

/** 404: no such route. */
export class RouteNotFoundError extends MoleculerClientError {
  constructor() {
    super("There is nothing at this address.", 404, "NOT_FOUND");
  }
}

/** 405: the address exists, with other methods. */
export class MethodNotAllowedError extends MoleculerClientError {
  constructor(allowed: readonly string[]) {
    super(`This address takes ${allowed.join(", ")} only.`, 405, "METHOD_NOT_ALLOWED", { allowed });
  }
}

/** 400: the body is not JSON. */
export class MalformedJsonError extends MoleculerClientError {
  constructor(message: string) {
    super(message, 400, "MALFORMED_JSON");
  }
}

/** 413: the body is too large. */
export class BodyTooLargeError extends MoleculerClientError {
  constructor(bytesMax: number) {
    super(`The body is larger than ${bytesMax} bytes.`, 413, "BODY_TOO_LARGE", { bytesMax });
  }
}

/** 415: the body is not application/json in UTF-8, or is compressed. */
export class UnsupportedMediaTypeError extends MoleculerClientError {
  constructor(message: string) {
    super(message, 415, "UNSUPPORTED_MEDIA_TYPE");
  }
}

/** 400: the operation needs an Idempotency-Key. */
export class IdempotencyKeyMissingError extends MoleculerClientError {
  constructor() {
    super("Send an Idempotency-Key: 1 to 255 visible ASCII characters.", 400, "IDEMPOTENCY_KEY_MISSING");
  }
}

/** 400: the Idempotency-Key cannot be used. */
export class IdempotencyKeyInvalidError extends MoleculerClientError {
  constructor() {
    const message = "The Idempotency-Key must be given once, as 1 to 255 visible ASCII characters.";
    super(message, 400, "IDEMPOTENCY_KEY_INVALID");
  }
}

/** 429: more than the limits of a subject or an address allow. */
export class RateLimitedError extends MoleculerClientError {
  constructor(policy: string, retryAfterSeconds: number, headers: Readonly<Record<string, string>>) {
    const message = `Too many requests of this ${policy}: ask again after the time in Retry-After.`;
    super(message, 429, "RATE_LIMITED", { policy, retryAfterSeconds, headers });
  }
}

/** 429: a subject follows as many orders at once as it may. */
export class TooManyStreamsError extends MoleculerClientError {
  constructor(max: number) {
    const message = `No more than ${max} streams at once: close one, or follow with Prefer: wait.`;
    super(message, 429, "TOO_MANY_STREAMS", { max, retryAfterSeconds: 5 });
  }
}

/** 503: the key set cannot be read, so that no token can be told good or bad. */
export class KeysUnavailableError extends MoleculerRetryableError {
  constructor(options: { cause?: unknown } = {}) {
    super("The keys that tokens are checked against cannot be read.", 503, "KEYS_UNAVAILABLE", {});
    this.cause = options.cause;
  }
}

/** 503: which tokens are revoked is not known any more, so that none can be let in. */
export class RevocationsUnavailableError extends MoleculerRetryableError {
  constructor() {
    super("It is not known which tokens are revoked.", 503, "REVOCATIONS_UNAVAILABLE", {});
  }
}

/** The client left before its request was complete; nobody hears the answer. */
export class ClientGoneError extends MoleculerClientError {
  constructor() {
    super("The client closed the connection.", 400, "CLIENT_GONE");
  }
}
