import { Errors } from "moleculer";

/**
 * Errors that cross services. Moleculer rebuilds only its own classes on the other side of NATS, so callers
 * branch on `type`, never on the class. `retryable` is decided here: true means that nothing happened, or
 * that repeating is harmless.
 */
const { MoleculerClientError, MoleculerServerError, MoleculerRetryableError } = Errors;

/** 404. `type` is ORDER_NOT_FOUND, PRODUCT_NOT_FOUND, … */
export class NotFoundError extends MoleculerClientError {
  constructor(what: string, id: string) {
    super(`No such ${what.toLowerCase()}: ${id}`, 404, `${what.toUpperCase()}_NOT_FOUND`, { id });
  }
}

/** 409: the thing exists, but its state does not allow what was asked. */
export class StateConflictError extends MoleculerClientError {
  constructor(message: string, type: string, data: Record<string, unknown> = {}) {
    super(message, 409, type, data);
  }
}

/** 422: understood, well-formed, and refused by a business rule. */
export class RuleViolationError extends MoleculerClientError {
  constructor(message: string, type: string, data: Record<string, unknown> = {}) {
    super(message, 422, type, data);
  }
}

export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** 422 with the fields that are wrong. */
export class InvalidInputError extends MoleculerClientError {
  constructor(errors: readonly FieldError[]) {
    super("The request is not valid.", 422, "VALIDATION_FAILED", { errors });
  }
}

/** 422: the Idempotency-Key was used before for something else. */
export class IdempotencyKeyReusedError extends MoleculerClientError {
  constructor(operation: string) {
    super("This Idempotency-Key was used before with another request.", 422, "IDEMPOTENCY_KEY_REUSED", {
      operation,
    });
  }
}

/** 409: the first request under this key is still being worked on. */
export class RequestInProgressError extends MoleculerClientError {
  constructor(retryAfterSeconds: number) {
    super("A request with this Idempotency-Key is in progress.", 409, "REQUEST_IN_PROGRESS", {
      retryAfterSeconds,
    });
  }
}

/** 503: the database cannot be reached; nothing was changed. */
export class DatabaseUnavailableError extends MoleculerRetryableError {
  constructor(database: string, options: { cause?: unknown } = {}) {
    super(`The database of ${database} cannot be reached.`, 503, "DATABASE_UNAVAILABLE", { database });
    this.cause = options.cause;
  }
}

/** 503: the connection broke during COMMIT; it may or may not have happened. Repeat only under the same id. */
export class CommitOutcomeUnknownError extends MoleculerRetryableError {
  constructor(database: string, options: { cause?: unknown } = {}) {
    super(`The outcome of a commit in ${database} is unknown.`, 503, "COMMIT_OUTCOME_UNKNOWN", { database });
    this.cause = options.cause;
  }
}

/** 503: a queue inside this process is full; nothing was taken on. */
export class OverloadedError extends MoleculerRetryableError {
  constructor(queue: string, retryAfterSeconds = 1) {
    super(`Too much work is waiting (${queue}).`, 503, "OVERLOADED", { queue, retryAfterSeconds });
  }
}

/** 500: a rule of ours is broken; a bug, never the caller's fault. */
export class InvariantError extends MoleculerServerError {
  constructor(message: string, data: Record<string, unknown> = {}) {
    super(message, 500, "INVARIANT_BROKEN", data);
  }
}

/**
 * 500: the action is not for this caller. Among our own services a mistake in a release, which the engine must not
 * take for a decision; to others it says nothing.
 */
export class CallerNotAllowedError extends MoleculerServerError {
  constructor(action: string, caller: string) {
    super(`${action} is not for ${caller}.`, 500, "CALLER_NOT_ALLOWED", { action, caller });
  }
}

/** What may be read off any error, wherever it was thrown. */
export interface ErrorFacts {
  readonly type: string;
  readonly message: string;
  readonly status: number;
  readonly retryable: boolean;
  readonly data: Record<string, unknown>;
}

/** Reads an error of any origin, also one that arrived over NATS as a plain Error with loose properties. */
export function factsOf(error: unknown): ErrorFacts {
  const from = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  const status = typeof from.code === "number" ? from.code : 500;
  return {
    type: typeof from.type === "string" && from.type !== "" ? from.type : "INTERNAL_ERROR",
    message: error instanceof Error ? error.message : String(error),
    status,
    // Whatever is not a refusal may pass: an unknown failure must not be mistaken for a decision.
    retryable: from.retryable === true || status >= 500,
    data: (typeof from.data === "object" && from.data !== null ? from.data : {}) as Record<string, unknown>,
  };
}
