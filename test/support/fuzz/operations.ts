import type { JsonSchema } from "../../../services/gateway/contract/json-schema.ts";
import { openApi } from "../../../services/gateway/contract/openapi.ts";

/** What the OpenAPI document says of each operation, as far as requests are made of it. */
export interface Operation {
  readonly id: string;
  readonly method: string;
  /** As the document writes it: `/orders/{orderId}`. */
  readonly template: string;
  readonly tag: string;
  /** Undefined where no token is asked for. */
  readonly roles: readonly string[] | undefined;
  readonly path: readonly Parameter[];
  readonly query: readonly Parameter[];
  readonly headers: readonly Parameter[];
  readonly body: { readonly schema: JsonSchema; readonly required: boolean } | undefined;
}

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: JsonSchema;
}

const document = openApi();

/** The document's schemas, for references into it. */
export const DOCUMENT: JsonSchema = document;

export const OPERATIONS: readonly Operation[] = Object.entries(document.paths).flatMap(
  ([template, methods]) =>
    Object.entries(methods).map(([method, described]) => {
      const parameters = (described.parameters as JsonSchema[]).map(resolved);
      const tags = described.tags as string[];
      const body = described.requestBody as Described["requestBody"];
      const at = (place: string) => parameters.filter((one) => one.in === place);
      return {
        id: described.operationId,
        method: method.toUpperCase(),
        template,
        tag: tags[0] ?? "",
        roles: described["x-roles"] as readonly string[] | undefined,
        path: at("path"),
        query: at("query"),
        headers: at("header"),
        body: body && { schema: body.content["application/json"].schema, required: body.required },
      };
    }),
);

interface Described {
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<"application/json", { readonly schema: JsonSchema }>>;
  };
}

function resolved(parameter: JsonSchema): Parameter {
  const name = String(parameter.$ref ?? "").replace("#/components/parameters/", "");
  const shared = document.components.parameters[name] as JsonSchema | undefined;
  return (shared ?? parameter) as unknown as Parameter;
}

/** The schema itself where this one only refers to it. */
export function dereferenced(schema: JsonSchema): JsonSchema {
  if (typeof schema.$ref !== "string") return schema;
  const name = schema.$ref.replace("#/components/schemas/", "");
  return document.components.schemas[name] as JsonSchema;
}
