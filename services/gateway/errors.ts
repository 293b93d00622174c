import { STATUS_CODES } from "node:http";
import { isInTheWay } from "../../lib/database-errors.ts";
import { type ErrorFacts, type FieldError, factsOf } from "../../lib/errors.ts";

/** RFC 9457. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly instance: string;
  readonly correlationId: string;
  readonly errors?: readonly FieldError[];
}

interface Outcome {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

const UNAVAILABLE: Outcome = {
  status: 503,
  code: "SERVICE_NOT_AVAILABLE",
  detail: "A part of the system is not available. Repeat the request later, under the same Idempotency-Key.",
};
const TIMED_OUT: Outcome = {
  status: 504,
  code: "REQUEST_TIMEOUT",
  detail: "No answer in time; it may have happened. Repeat the request under the same Idempotency-Key.",
};
const OVERLOADED: Outcome = {
  status: 503,
  code: "OVERLOADED",
  detail: "Too much work is waiting. Repeat later.",
};
const BUSY: Outcome = {
  status: 503,
  code: "DATABASE_BUSY",
  detail:
    "Others were in the way for too long; nothing was changed. Repeat it under the same Idempotency-Key.",
};
const INTERNAL: Outcome = {
  status: 500,
  code: "INTERNAL_ERROR",
  detail: "Something went wrong here. The correlation id finds it in our logs.",
};

/**
 * Failures of ours, by the type that they arrive with. Whatever is not listed and is no refusal (4xx) is told
 * as INTERNAL_ERROR: its message may hold SQL, addresses or data.
 */
const FAILURES: Readonly<Record<string, Outcome>> = {
  SERVICE_NOT_FOUND: UNAVAILABLE,
  SERVICE_NOT_AVAILABLE: UNAVAILABLE,
  REQUEST_REJECTED: UNAVAILABLE,
  BAD_GATEWAY: UNAVAILABLE,
  BUS_UNAVAILABLE: UNAVAILABLE,
  FAULT_INJECTED: UNAVAILABLE,
  KEYS_UNAVAILABLE: { ...UNAVAILABLE, code: "KEYS_UNAVAILABLE" },
  PERSONAL_DATA_KEY_MISSING: { ...UNAVAILABLE, code: "PERSONAL_DATA_KEY_MISSING" },
  REVOCATIONS_UNAVAILABLE: { ...UNAVAILABLE, code: "REVOCATIONS_UNAVAILABLE" },
  DATABASE_UNAVAILABLE: { ...UNAVAILABLE, code: "DATABASE_UNAVAILABLE" },
  COMMIT_OUTCOME_UNKNOWN: {
    ...UNAVAILABLE,
    code: "COMMIT_OUTCOME_UNKNOWN",
    detail: "It may or may not have happened. Repeat the request under the same Idempotency-Key to find out.",
  },
  // The provider has not answered: nothing is decided, asking again under the same ids is harmless.
  PAYMENT_UNKNOWN: { ...UNAVAILABLE, code: "PAYMENT_UNKNOWN" },
  PAYMENT_VOID_REFUSED: { ...UNAVAILABLE, code: "PAYMENT_VOID_REFUSED" },
  OVERLOADED,
  QUEUE_FULL: OVERLOADED,
  DEADLINE_PASSED: {
    ...TIMED_OUT,
    code: "DEADLINE_PASSED",
    detail: "The request's time was over before its work began; nothing was changed.",
  },
  REQUEST_TIMEOUT: TIMED_OUT,
  REQUEST_SKIPPED: TIMED_OUT,
  UNABLE_DECODE_PARAM: { status: 400, code: "MALFORMED_URL", detail: "The address is not valid." },
};

const SCREAMING = /^[A-Z][A-Z0-9_]*$/;

function outcomeOf({ type, status, message }: ErrorFacts): Outcome {
  const failure = Object.hasOwn(FAILURES, type) ? FAILURES[type] : undefined;
  if (failure !== undefined) return failure;
  if (type === "VALIDATION_ERROR")
    return { status: 422, code: "VALIDATION_FAILED", detail: "The request is not valid." };
  if (status >= 400 && status < 500 && SCREAMING.test(type)) return { status, code: type, detail: message };
  return INTERNAL;
}

export interface ProblemAnswer {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the outside is told of an error, wherever it was thrown: never a stack, never SQL. */
export function problemOf(error: unknown, instance: string, correlationId: string): ProblemAnswer {
  const facts = factsOf(error);
  const { status, code, detail } = isInTheWay(error) ? BUSY : outcomeOf(facts);
  const errors = code === "VALIDATION_FAILED" ? fieldErrorsOf(facts.data) : undefined;
  const type = `urn:holdfast:problem:${code.toLowerCase().replaceAll("_", "-")}`;
  const title = STATUS_CODES[status] ?? "Error";
  return {
    problem: { type, title, status, detail, code, instance, correlationId, ...(errors && { errors }) },
    headers: headersOf(status, code, facts.data),
  };
}

function headersOf(
  status: number,
  code: string,
  data: Readonly<Record<string, unknown>>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  if (status === 401) headers["www-authenticate"] = challengeOf(code, data);
  if (status === 405 && Array.isArray(data.allowed)) headers.allow = data.allowed.join(", ");
  if (status === 429) Object.assign(headers, data.headers);
  const retryAfter = typeof data.retryAfterSeconds === "number" ? data.retryAfterSeconds : undefined;
  if (status === 503 || status === 429 || retryAfter !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfter ?? 1)));
  }
  return headers;
}

/** RFC 9110 asks for a challenge in every 401; where a signature is what was missing, a token would not help. */
function challengeOf(code: string, data: Readonly<Record<string, unknown>>): string {
  if (code !== "UNAUTHENTICATED") return 'Webhook-Signature realm="holdfast"';
  return `Bearer realm="holdfast"${data.tokenGiven === true ? ', error="invalid_token"' : ""}`;
}

/** Of ours ({errors: […]}) and of Moleculer's own validator (an array of fastest-validator's findings). */
function fieldErrorsOf(data: Readonly<Record<string, unknown>>): FieldError[] {
  const found: unknown[] = Array.isArray(data) ? data : Array.isArray(data.errors) ? data.errors : [];
  return found.slice(0, 20).map((one) => {
    const { field, message } = (one ?? {}) as Record<string, unknown>;
    return { field: String(field ?? ""), message: String(message ?? "is not valid") };
  });
}
