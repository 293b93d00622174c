import { type ActionParams, Validators } from "moleculer";
import { type FieldError, InvalidInputError } from "../../lib/errors.ts";
import { id, type JsonSchema } from "./contract/json-schema.ts";
import { schemaOfParams } from "./contract/params-schema.ts";

interface Finding {
  readonly type: string;
  readonly field?: string;
  readonly message?: string;
  readonly actual?: unknown;
}

const FINDINGS_MAX = 20;

/** Without control characters and halves of surrogate pairs: PostgreSQL takes neither in text or jsonb. */
export const text = (max: number) => ({
  type: "string",
  empty: false,
  max,
  pattern: /^[^\p{Cc}\p{Cs}]*$/u,
  messages: { stringPattern: "The '{field}' field contains characters that are not allowed." },
});

/** In any case, as RFC 9562 has it; we go on with lower case. */
export const uuid = {
  type: "string",
  pattern: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  messages: { stringPattern: "The '{field}' field must be a UUID." },
  json: id,
};

/** What a provider calls a way to pay. Digits alone could be the number of a card, which must not come to be stored here. */
export const paymentMethod = {
  type: "string",
  pattern: /^(?=.*[A-Za-z])[A-Za-z0-9_-]{1,64}$/,
  messages: {
    stringPattern: "The '{field}' field must be the provider's token of a way to pay, never a card number.",
  },
  json: { examples: ["sim_ok"] },
};
export const currency = { type: "string", pattern: /^[A-Z]{3}$/, json: { examples: ["EUR"] } };

/** Reads a body. @throws InvalidInputError with the fields that are wrong */
export interface BodyReader<Body> {
  (body: unknown): Body;
  readonly schema: JsonSchema;
}

const TYPES = ["string", "number", "boolean", "enum", "array", "object"] as const;
/** An optional field may be left out, and not be null: a refund of null would else be one of everything. */
const STRICT = {
  useNewCustomCheckerFunction: true,
  considerNullAsAValue: true,
  defaults: Object.fromEntries(TYPES.map((type) => [type, { nullable: false }])),
};

/**
 * A reader of bodies of that schema (fastest-validator, nothing is converted). `Body` is what the schema says; an
 * example is needed where one that is made up of the parts would not do.
 */
export function bodyReader<Body>(schema: Record<string, unknown>, example?: Body): BodyReader<Body> {
  const check = new Validators.Fastest(STRICT).compile({
    $$strict: true,
    ...schema,
  } as ActionParams);
  const read = (body: unknown) => {
    if (!isObject(body)) throw new InvalidInputError([{ field: "", message: "The body must be an object." }]);
    const findings: unknown = check(body);
    if (Array.isArray(findings)) throw new InvalidInputError(findings.slice(0, FINDINGS_MAX).map(fieldError));
    return body as Body;
  };
  const described = schemaOfParams(schema);
  return Object.assign(read, { schema: example ? { ...described, examples: [example] } : described });
}

/** Of operations that take nothing. */
export const noFields = bodyReader<Record<never, never>>({});

export function isObject(body: unknown): body is Record<string, unknown> {
  return typeof body === "object" && body !== null && !Array.isArray(body);
}

function fieldError({ type, field = "", message, actual }: Finding): FieldError {
  // Of an optional field too, the validator would say that it is required.
  if (type === "required" && actual === null)
    return { field, message: `The '${field}' field must not be null.` };
  if (type !== "objectStrict") return { field, message: message ?? "is not valid" };
  return { field, message: `These fields are not known here: ${String(actual).slice(0, 200)}.` };
}
