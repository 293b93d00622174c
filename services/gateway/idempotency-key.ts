import { hash } from "node:crypto";
import type { IdempotencyClaim } from "../../lib/contracts.ts";
import { IdempotencyKeyInvalidError, IdempotencyKeyMissingError } from "./refusals.ts";
import type { ApiRequest } from "./request.ts";

const VISIBLE_ASCII = /^[\x21-\x7e]{1,255}$/;
/** A string of RFC 8941 without parameters: `"…"`, with \" and \\ escaped. */
const QUOTED = /^"((?:[^"\\]|\\["\\])*)"$/;

/**
 * Reads the header: `"k"`, as the draft standard writes it, and the plain `k` that most clients send are the
 * same key. A header given twice reaches us joined by a comma and a space, which no key can hold.
 * @throws IdempotencyKeyMissingError, IdempotencyKeyInvalidError
 */
export function parseIdempotencyKey(header: string | readonly string[] | undefined): string {
  if (header === undefined) throw new IdempotencyKeyMissingError();
  if (typeof header !== "string") throw new IdempotencyKeyInvalidError();
  const key = header.startsWith('"') ? QUOTED.exec(header)?.[1]?.replace(/\\(.)/g, "$1") : header;
  if (key === undefined || !VISIBLE_ASCII.test(key)) throw new IdempotencyKeyInvalidError();
  return key;
}

/** The claim of a request: `params` are the validated ones, those of the path among them. */
export function claimOf(
  subject: string,
  operation: string,
  header: string | readonly string[] | undefined,
  params: unknown,
): IdempotencyClaim {
  return { subject, key: parseIdempotencyKey(header), operation, requestHash: requestHash(params) };
}

/** Where a key is not required: a claim for whoever sends one. */
export function claimIfKeyed(
  { principal, headers }: Pick<ApiRequest, "principal" | "headers">,
  operation: string,
  params: object,
): { readonly idempotency?: IdempotencyClaim } {
  const header = headers["idempotency-key"];
  if (header === undefined) return {};
  return { idempotency: claimOf(principal.subject, operation, header, params) };
}

/** SHA-256 of the canonical request, hex. */
export function requestHash(params: unknown): string {
  return hash("sha256", canonicalJson(params), "hex");
}

/** JSON with sorted keys: the same request in another order of fields is the same request. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  let text = "";
  for (const name of Object.keys(value).sort()) {
    const field: unknown = Reflect.get(value, name);
    if (field !== undefined) text += `${text && ","}${JSON.stringify(name)}:${canonicalJson(field)}`;
  }
  return `{${text}}`;
}
