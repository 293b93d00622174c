import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { JsonSchema } from "../../services/gateway/contract/json-schema.ts";
import { openApi, templateOf } from "../../services/gateway/contract/openapi.ts";
import { ROUTES } from "../../services/gateway/routes.ts";
import type { HttpAnswer } from "./http.ts";

/** Every answer that a test gets is held against the OpenAPI document: its status, its headers, its body. */

const DOCUMENT = "holdfast";
const document = closed(openApi()) as ReturnType<typeof openApi>;
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema(document, DOCUMENT);
const validators = new Map<string, ValidateFunction>();
const table = ROUTES.map(({ method, path }) => ({
  method,
  path,
  pattern: new RegExp(`^${path.replace(/:\w+/g, "[^/]+")}/?$`),
}));

/** Nothing undeclared may leave the gateway: what the document leaves open to later versions is closed here. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== "object" || value === null) return value;
  const all = Object.entries(value).map(([name, one]) => [name, name === "allOf" ? one : closed(one)]);
  const copy = Object.fromEntries(all) as Record<string, unknown>;
  const isObject = copy.type === "object" && "properties" in copy && !("additionalProperties" in copy);
  return isObject ? { ...copy, additionalProperties: false } : copy;
}

/** @param path below /api, with its query @throws Error the answer is none that the document tells of */
export function assertKept(method: string, path: string, answer: HttpAnswer): void {
  const [bare = ""] = path.split("?", 1);
  const route = table.find((line) => line.method === method && line.pattern.test(bare));
  // What fits no line of the table is answered 404 or 405, whatever the address.
  if (route === undefined) return;
  const operation = document.paths[templateOf(route.path)]?.[method.toLowerCase()];
  const known = operation?.responses[answer.status];
  const broken = (problem: string) =>
    new Error(`${method} ${route.path} answered ${answer.status} ${answer.text.slice(0, 500)}: ${problem}`);
  if (operation === undefined || known === undefined) throw broken("the document knows no such answer");
  const { pointer, response } = resolved(templateOf(route.path), method.toLowerCase(), answer.status, known);
  for (const type of Object.keys((response.content ?? {}) as object)) {
    if (!answer.headers["content-type"]?.startsWith(type)) throw broken(`its type should be ${type}`);
    const validate = validatorOf(`${pointer}/content/${escaped(type)}/schema`);
    if (!validate(type === "text/event-stream" ? answer.text : answer.body))
      throw broken(ajv.errorsText(validate.errors, { dataVar: "body" }));
  }
  if (answer.status === 202 && "Location" in ((response.headers ?? {}) as object) && !answer.headers.location)
    throw broken("it does not say where to follow it");
}

function resolved(template: string, method: string, status: number, response: JsonSchema) {
  if (typeof response.$ref !== "string") {
    return { pointer: `#/paths/${escaped(template)}/${method}/responses/${status}`, response };
  }
  const name = response.$ref.split("/").at(-1) ?? "";
  return { pointer: response.$ref, response: document.components.responses[name] as JsonSchema };
}

function validatorOf(pointer: string): ValidateFunction {
  const known = validators.get(pointer);
  if (known) return known;
  const made = ajv.compile({ $ref: `${DOCUMENT}${pointer}` });
  validators.set(pointer, made);
  return made;
}

const escaped = (part: string) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"));
