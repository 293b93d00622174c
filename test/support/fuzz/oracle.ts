import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { JsonSchema } from "../../../services/gateway/contract/json-schema.ts";
import { bytesOf, type Draft } from "./draft.ts";
import { DOCUMENT, type Operation, type Parameter } from "./operations.ts";

/** Whether a request is one that the document allows. It knows nothing of how the gateway checks. */

const BODY_BYTES_MAX = 64 * 1_024;
const ajv = new Ajv2020({ strict: false });
addFormats.default(ajv);
const validators = new Map<JsonSchema, ValidateFunction>();

function fits(schema: JsonSchema, value: unknown): boolean {
  // References are to the document's own parts.
  const validate = validators.get(schema) ?? ajv.compile({ ...schema, components: DOCUMENT.components });
  validators.set(schema, validate);
  return validate(value) === true;
}

/** What is wrong with it; undefined for one that the document allows. Ids in it are filled in. */
export function faultOf(draft: Draft): string | undefined {
  const { operation } = draft;
  if (operation.roles === undefined) return "it is not signed";
  return (
    senderFault(operation.roles, draft.sender) ??
    parameterFault(operation.path, Object.entries(draft.path)) ??
    parameterFault(operation.query, draft.query) ??
    keyFault(operation, draft.headers["idempotency-key"]) ??
    bodyFault(draft)
  );
}

function senderFault(roles: readonly string[], sender: Draft["sender"]): string | undefined {
  if (typeof sender !== "string") return "it has no good token";
  const role = sender.endsWith("ustomer") ? "customer" : sender;
  return roles.includes(role) ? undefined : `its sender is ${sender}`;
}

function parameterFault(
  parameters: readonly Parameter[],
  given: readonly (readonly [string, string])[],
): string | undefined {
  const names = given.map(([name]) => name);
  if (new Set(names).size < names.length) return "a parameter comes twice";
  for (const [name, text] of given) {
    const known = parameters.find((one) => one.name === name);
    if (known === undefined || !fits(known.schema, meant(known.schema, text))) return `parameter ${name}`;
  }
  return undefined;
}

/** Text that means a number or a truth value is one. */
function meant({ type }: JsonSchema, text: string): unknown {
  if (type === "integer" && /^\d+$/.test(text)) return Number(text);
  if (type === "boolean" && /^(true|false)$/.test(text)) return text === "true";
  return text;
}

function keyFault({ headers }: Operation, key: Draft["headers"][string]): string | undefined {
  const described = headers.find(({ name }) => name === "Idempotency-Key");
  if (described === undefined) return undefined;
  if (key === undefined) return described.required ? "it has no Idempotency-Key" : undefined;
  return typeof key === "string" && fits(described.schema, key) ? undefined : "its Idempotency-Key";
}

const JSON_TYPE = /^application\/json(; charset=utf-8)?$/i;

function bodyFault({ operation, body, headers }: Draft): string | undefined {
  if (operation.body === undefined) return undefined;
  const bytes = body && bytesOf(body);
  if (bytes === undefined || bytes.length === 0)
    return operation.body.required ? "it has no body" : undefined;
  if (!JSON_TYPE.test(String(headers["content-type"]))) return "its body is not JSON by its type";
  if (body?.encoding === "gzip") return "its body is compressed";
  if (bytes.length > BODY_BYTES_MAX) return "its body is too large";
  try {
    return fits(operation.body.schema, JSON.parse(bytes.toString()))
      ? undefined
      : "its body breaks the schema";
  } catch {
    return "its body is not JSON";
  }
}
