import { ROUTES } from "../routes.ts";
import { exampleOf, type JsonSchema } from "./json-schema.ts";
import * as operatorViews from "./operator-views.ts";
import { HEADERS, headersOf, PROBLEM, problemResponses } from "./problem-responses.ts";
import { type Route, TAGS } from "./route.ts";
import * as views from "./views.ts";

/** The OpenAPI 3.1 document, made of the table of routes: the table is what checks and answers. */

export interface OpenApi extends JsonSchema {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<
    Record<"schemas" | "parameters" | "headers" | "responses" | "securitySchemes", JsonSchema>
  >;
}

export interface Operation extends JsonSchema {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, JsonSchema>>;
}

const INTRODUCTION = `Orders, their stock and their money. An accepted order ends, confirmed or cancelled with a reason.

What takes time is accepted with 202 and followed by its address; with \`Prefer: wait=10\` the answer waits for the end. What
changes something takes an \`Idempotency-Key\`: the same request under the same key has one effect and one answer. Money is
in minor units, times are UTC. Lists are pages: \`nextCursor\` leads to the next one. Refusals are problems of RFC 9457 with
a \`code\` that programs may rely on.`;

/** Views that have a name in the document; all others stand where they are used. */
const NAMED: Readonly<Record<string, JsonSchema>> = {
  Order: views.order,
  OrderStanding: views.orderStanding,
  OrderAccepted: views.orderAccepted,
  Saga: views.saga,
  Transaction: views.transaction,
  OperatedTransaction: operatorViews.operatedTransaction,
  Payment: views.payment,
  Product: views.product,
  DeadLetter: operatorViews.deadLetter,
  Notification: operatorViews.notification,
  NotificationEndpoint: operatorViews.notificationEndpoint,
  AuditEntry: operatorViews.trailEntry,
  Reason: views.reason,
  ShippingAddress: views.shippingAddress,
};

const names = new Map(Object.entries(NAMED).map(([name, schema]) => [schema, name]));

/** The schema with its named parts as references. */
function referring(value: unknown, isTop = false): unknown {
  if (Array.isArray(value)) return value.map((one) => referring(one));
  if (typeof value !== "object" || value === null) return value;
  const name = isTop ? undefined : names.get(value as JsonSchema);
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, referring(one)]));
}

/** A stream has no state that a client could name. */
function isConditional({ method, streams }: Route): boolean {
  return method === "GET" && !streams;
}

function answerOf(route: Route): JsonSchema {
  const { answer, located, key, waits, settles } = route;
  const headers = headersOf(
    located && "Location",
    key && "Idempotent-Replayed",
    (waits || settles) && "Preference-Applied",
    isConditional(route) && "ETag",
  );
  const schema = referring(answer);
  if (route.streams) {
    // OpenAPI 3.1 has no words for events; what each one holds stands beside it.
    const frames = { type: "string", contentMediaType: "application/json", contentSchema: schema };
    return {
      description: "A stream of events.",
      headers,
      content: { "text/event-stream": { schema: frames } },
    };
  }
  return {
    description:
      route.status === 202
        ? "Accepted: it cannot be lost any more."
        : route.settles
          ? "It has been waited for, and has ended: what `Location` shows."
          : "Done.",
    headers,
    content: { "application/json": { schema, example: exampleOf(answer) } },
  };
}

function parametersOf(route: Route): JsonSchema[] {
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema:
      name === "provider" ? { type: "string", examples: ["simulator"] } : { type: "string", format: "uuid" },
    example: name === "provider" ? "simulator" : "01990000-0000-7000-8000-0000000000a1",
  }));
  const inQuery = Object.entries(route.query).map(([name, { description, ...schema }]) => ({
    name,
    in: "query",
    ...(description !== undefined && { description }),
    schema,
  }));
  const shared = [
    "CorrelationId",
    ...(route.key === undefined
      ? []
      : [route.key === "required" ? "IdempotencyKey" : "OptionalIdempotencyKey"]),
    ...(route.waits || route.settles ? ["Wait"] : []),
    ...(route.streams ? ["LastEventId"] : []),
    ...(isConditional(route) ? ["IfNoneMatch"] : []),
  ].map((name) => ({ $ref: `#/components/parameters/${name}` }));
  return [...inPath, ...inQuery, ...shared];
}

function operationOf(route: Route, problemsOf: (route: Route) => Record<string, JsonSchema>): Operation {
  const { id, tag, summary, more, signed, body } = route;
  const roles = signed ? undefined : `Roles: ${route.roles.join(", ")}.`;
  const optional = !signed && route.optionalBody === true;
  return {
    operationId: id,
    tags: [tag],
    summary,
    description: [more, roles].filter((part) => part !== undefined).join("\n\n"),
    ...(signed ? { security: [{ signature: [] }] } : { "x-roles": route.roles }),
    parameters: parametersOf(route),
    ...(body && {
      requestBody: {
        required: !optional,
        content: { "application/json": { schema: referring(body), example: exampleOf(body) } },
      },
    }),
    responses: {
      [route.status]: answerOf(route),
      ...(route.settles && { 200: answerOf({ ...route, status: 200, answer: route.settles }) }),
      ...(route.streams && { 204: { description: "Nothing more will come.", headers: headersOf() } }),
      ...(isConditional(route) && { 304: { $ref: "#/components/responses/NotModified" } }),
      ...problemsOf(route),
    },
  };
}

/** `/orders/:orderId` as the document writes it. */
export function templateOf(path: string): string {
  return path.replace(/:(\w+)/g, "{$1}");
}

function pathsOf(problemsOf: (route: Route) => Record<string, JsonSchema>): OpenApi["paths"] {
  const byPath = Map.groupBy(ROUTES, ({ path }) => templateOf(path));
  return Object.fromEntries(
    [...byPath].map(([path, lines]) => [
      path,
      Object.fromEntries(lines.map((route) => [route.method.toLowerCase(), operationOf(route, problemsOf)])),
    ]),
  );
}

/** Plain, or quoted as the draft standard of the header writes it. */
const KEY_PATTERN = String.raw`^(?:[\x21\x23-\x7e][\x21-\x7e]{0,254}|"(?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255}")$`;

const key = (required: boolean) => ({
  name: "Idempotency-Key",
  in: "header",
  required,
  description:
    "1 to 255 visible ASCII characters, new for each thing that is wanted, the same for its repetition.",
  schema: { type: "string", pattern: KEY_PATTERN },
  example: "6f4e1a52-9d0c-4b7e-8f46-3a6c1b1e9d10",
});

const PARAMETERS = {
  IdempotencyKey: key(true),
  OptionalIdempotencyKey: key(false),
  CorrelationId: {
    name: "X-Correlation-ID",
    in: "header",
    description: "Carried into every log line and event of the request.",
    schema: { type: "string" },
  },
  IfNoneMatch: {
    name: "If-None-Match",
    in: "header",
    description: "`ETag` of an answer that the client has: 304 while it still holds.",
    schema: { type: "string" },
  },
  Wait: {
    name: "Prefer",
    in: "header",
    description:
      "`wait=N`: answer when it has ended, at the latest after N seconds (30 at most). A request that begins it is answered 200 then, and 202 if it has not ended.",
    schema: { type: "string" },
    example: "wait=10",
  },
  LastEventId: {
    name: "Last-Event-ID",
    in: "header",
    description:
      "The `id` of the last event that was seen: those after it are sent. Browsers send it by themselves.",
    schema: { type: "string", pattern: "^\\d{0,6}$" },
    example: "2",
  },
};

const NOT_MODIFIED = {
  description: "The answer is the one that `If-None-Match` names.",
  headers: headersOf("ETag"),
};

const SECURITY_SCHEMES = {
  token: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "`npm start` prints one for each role.",
  },
  signature: {
    type: "apiKey",
    in: "header",
    name: "x-psp-signature",
    description: "`t=<seconds>,v1=<HMAC-SHA256 of t.body, hex>`; Stripe's own header is `stripe-signature`.",
  },
};

export function openApi(): OpenApi {
  const { problemsOf, responses } = problemResponses();
  const schemas = Object.entries(NAMED).map(([name, schema]) => [name, referring(schema, true)]);
  return {
    openapi: "3.1.0",
    info: {
      title: "Holdfast",
      version: "1.0.0",
      description: INTRODUCTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/api" }],
    security: [{ token: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: pathsOf(problemsOf),
    components: {
      schemas: { ...Object.fromEntries(schemas), Problem: PROBLEM },
      parameters: PARAMETERS,
      headers: HEADERS,
      responses: { ...responses, NotModified: NOT_MODIFIED },
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}
