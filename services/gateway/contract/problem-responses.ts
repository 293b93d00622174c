import { STATUS_CODES } from "node:http";
import type { JsonSchema } from "./json-schema.ts";
import { ALWAYS, OF_BODIES, OF_KEYS, OF_TOKENS, PROBLEMS, type ProblemCode, statusOf } from "./problems.ts";
import type { Route } from "./route.ts";

/** The refusals of the OpenAPI document: for each route and status the codes that may come. */

export const PROBLEM: JsonSchema = {
  type: "object",
  required: ["type", "title", "status", "detail", "code", "instance", "correlationId"],
  properties: {
    type: { type: "string", format: "uri" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", description: "What programs may rely on." },
    instance: { type: "string", description: "The path that was asked for." },
    correlationId: { type: "string" },
    errors: {
      type: "array",
      description: "The fields that are wrong.",
      items: {
        type: "object",
        required: ["field", "message"],
        properties: { field: { type: "string" }, message: { type: "string" } },
      },
    },
  },
};

/** Codes that a route may answer, each once. */
export function codesOf(route: Route): readonly ProblemCode[] {
  const takesBody = route.body !== undefined;
  return [
    ...new Set<ProblemCode>([
      ...ALWAYS,
      ...(route.signed ? [] : OF_TOKENS),
      ...(takesBody ? OF_BODIES.filter((code) => !(route.signed && code === "MALFORMED_JSON")) : []),
      ...(route.key === undefined ? [] : OF_KEYS),
      ...(route.key === "required" ? (["IDEMPOTENCY_KEY_MISSING"] as const) : []),
      ...(route.problems ?? []),
    ]),
  ];
}

export const HEADERS = {
  "X-Correlation-ID": header("The caller's, where it was usable, or a new one.", "^[A-Za-z0-9-]{8,64}$"),
  ETag: header("Of these very bytes."),
  Location: header("Where to follow it."),
  "Idempotent-Replayed": header("`true`: the stored answer of an earlier request under this key."),
  "Preference-Applied": header("`wait=N`, where the client preferred to wait."),
  "Retry-After": header("Seconds after which to ask again."),
  RateLimit: header("What is left of the allowance, and the seconds until it is as new."),
  "RateLimit-Policy": header("The allowance: requests, and the seconds they are for."),
  "WWW-Authenticate": header("What the token lacks."),
} as const;

function header(description: string, pattern?: string): JsonSchema {
  return { description, schema: { type: "string", ...(pattern !== undefined && { pattern }) } };
}

export function headersOf(...wanted: readonly (keyof typeof HEADERS | false | undefined)[]): JsonSchema {
  const found = [
    "X-Correlation-ID" as const,
    ...wanted.filter((name) => name !== false && name !== undefined),
  ];
  return Object.fromEntries(found.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

interface Responses {
  /** By status, as references. */
  readonly problemsOf: (route: Route) => Record<string, JsonSchema>;
  /** What they refer to. It grows as routes are asked for. */
  readonly responses: Record<string, JsonSchema>;
}

/** Routes with the same refusals share them: the document would be three times as long. */
export function problemResponses(): Responses {
  const responses: Record<string, JsonSchema> = {};
  const known = new Map<string, string>();
  const nameOf = (status: number, codes: readonly ProblemCode[]) => {
    const identity = [status, ...codes].join(" ");
    const found = known.get(identity);
    if (found !== undefined) return found;
    const title = (STATUS_CODES[status] ?? "Problem").replace(/\W/g, "");
    const count = Object.keys(responses).filter((name) => name.replace(/\d+$/, "") === title).length;
    const name = count === 0 ? title : `${title}${count + 1}`;
    known.set(identity, name);
    responses[name] = problemResponse(status, codes);
    return name;
  };
  return {
    responses,
    problemsOf: (route) =>
      Object.fromEntries(
        [...Map.groupBy(codesOf(route), statusOf)].map(([status, codes]) => [
          String(status),
          { $ref: `#/components/responses/${nameOf(status, codes)}` },
        ]),
      ),
  };
}

function problemResponse(status: number, codes: readonly ProblemCode[]): JsonSchema {
  const waits = status === 503 || status === 429 || codes.includes("REQUEST_IN_PROGRESS");
  const [first = "INTERNAL_ERROR"] = codes;
  return {
    description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code][1]}`).join("\n\n"),
    headers: headersOf(
      waits && "Retry-After",
      status === 401 && "WWW-Authenticate",
      ...(status === 429 ? (["RateLimit", "RateLimit-Policy"] as const) : []),
    ),
    content: {
      "application/problem+json": {
        schema: {
          allOf: [
            { $ref: "#/components/schemas/Problem" },
            { type: "object", properties: { status: { const: status }, code: { enum: codes } } },
          ],
        },
        example: {
          type: `urn:holdfast:problem:${first.toLowerCase().replaceAll("_", "-")}`,
          title: STATUS_CODES[status],
          status,
          detail: PROBLEMS[first][1],
          code: first,
          instance: "/api/orders",
          correlationId: "4f1c2d9e-6f0b-4c55-8f0e-1c7a55f0a001",
        },
      },
    },
  };
}
