/** JSON Schema 2020-12 as far as the contract needs it, written so that the compiler compares it with the views. */

export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

// biome-ignore lint/complexity/noBannedTypes: the empty object type is what tells an optional key from a required one.
type Empty = {};
type OptionalKey<View> = { [Key in keyof View]-?: Empty extends Pick<View, Key> ? Key : never }[keyof View];
type Schemas<Key extends PropertyKey> = Readonly<Record<Key, JsonSchema>>;

/** An object with a schema for each property of `View`, no more and no fewer, the optional ones apart. */
export function object<View extends object>(
  required: Schemas<Exclude<keyof View, OptionalKey<View>>>,
  ...[optional]: OptionalKey<View> extends never ? [] : [optional: Schemas<OptionalKey<View>>]
): JsonSchema {
  const properties = { ...required, ...optional };
  return { type: "object", required: Object.keys(required), properties };
}

export const list = (items: JsonSchema): JsonSchema => ({ type: "array", items });

/** A page of a list. */
export const pageOf = (items: JsonSchema): JsonSchema => ({
  type: "object",
  required: ["items"],
  properties: {
    items: list(items),
    nextCursor: { ...text, description: "There is more: send it as `cursor`.", examples: ["MDE5OTAwMDA"] },
  },
});

/** With a sentence on what it means. */
export const about = (description: string, schema: JsonSchema): JsonSchema => ({ ...schema, description });
export const like = (example: unknown, schema: JsonSchema): JsonSchema => ({
  ...schema,
  examples: [example],
});

export const text: JsonSchema = { type: "string" };
export const flag: JsonSchema = { type: "boolean" };
export const count: JsonSchema = { type: "integer", minimum: 0 };
export const oneOf = (values: readonly string[]): JsonSchema => ({ type: "string", enum: [...values] });
export const only = (value: unknown): JsonSchema => ({ const: value });
export const id: JsonSchema = {
  type: "string",
  format: "uuid",
  examples: ["01990000-0000-7000-8000-0000000000a1"],
};
export const time: JsonSchema = {
  type: "string",
  format: "date-time",
  examples: ["2026-01-31T12:00:00.000Z"],
};

/**
 * A value that fits the schema: its first example, its only value, or one made up from its parts. Optional properties
 * of an answer are shown where they have an example; a request is as short as it may be.
 */
export function exampleOf(schema: JsonSchema): unknown {
  const {
    examples,
    const: constant,
    enum: values,
    type,
    properties,
    items,
    required,
    default: usual,
  } = schema;
  if (Array.isArray(examples)) return examples[0];
  if (constant !== undefined) return constant;
  if (usual !== undefined) return usual;
  if (Array.isArray(values)) return values[0];
  if (type === "array") return [exampleOf(items as JsonSchema)];
  if (type === "object") {
    const needed: unknown[] = Array.isArray(required) ? required : [];
    const isRequest = schema.additionalProperties === false;
    return Object.fromEntries(
      Object.entries((properties ?? {}) as Record<string, JsonSchema>)
        .filter(([name, one]) => needed.includes(name) || (!isRequest && one.examples !== undefined))
        .map(([name, one]) => [name, exampleOf(one)]),
    );
  }
  if (type === "boolean") return true;
  return type === "integer" || type === "number" ? Number(schema.minimum ?? 1) : "text";
}
