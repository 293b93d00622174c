import type { JsonSchema } from "./json-schema.ts";

/** Rules of fastest-validator, which check what comes in, as the JSON Schema that tells of them. */

type Rule = Readonly<Record<string, unknown>>;

/** @throws TypeError for a rule that the contract cannot express: better no start than a contract that is silent */
export function schemaOfParams(props: Rule): JsonSchema {
  const fields = Object.entries(props).filter(([name]) => !name.startsWith("$$"));
  const required = fields.filter(([, rule]) => !isOptional(rule)).map(([name]) => name);
  return {
    type: "object",
    additionalProperties: false,
    ...(required.length > 0 && { required }),
    properties: Object.fromEntries(fields.map(([name, rule]) => [name, schemaOfRule(rule)])),
  };
}

function isOptional(rule: unknown): boolean {
  return typeof rule === "object" && rule !== null && "optional" in rule && rule.optional === true;
}

function schemaOfRule(given: unknown): JsonSchema {
  const rule: Rule = typeof given === "string" ? { type: given } : (given as Rule);
  // What is written for readers (`json`) goes before what can be derived.
  return { ...derived(rule), ...(rule.json as JsonSchema | undefined) };
}

function derived(rule: Rule): JsonSchema {
  switch (rule.type) {
    case "string":
      return stringSchema(rule);
    case "number":
      return {
        type: rule.integer === true ? "integer" : "number",
        ...present({ minimum: rule.min, maximum: rule.max }),
        ...("notEqual" in rule && { not: { const: rule.notEqual } }),
      };
    case "boolean":
      return { type: "boolean" };
    case "enum":
      return { enum: rule.values };
    case "array":
      return {
        type: "array",
        items: schemaOfRule(rule.items),
        ...present({ minItems: rule.min, maxItems: rule.max }),
        ...(rule.unique === true && { uniqueItems: true }),
      };
    case "object":
      return schemaOfParams((rule.props ?? rule.properties ?? {}) as Rule);
    default:
      throw new TypeError(`the contract cannot tell of a rule of type ${String(rule.type)}`);
  }
}

function stringSchema({ min, max, empty, pattern }: Rule): JsonSchema {
  const minLength = min ?? (empty === false ? 1 : undefined);
  return {
    type: "string",
    ...present({ minLength, maxLength: max }),
    ...(pattern instanceof RegExp && { pattern: sourceOf(pattern) }),
  };
}

/** JSON Schema knows no flags: those that change what is matched must be written out. */
function sourceOf({ source, flags }: RegExp): string {
  if (flags.replace("u", "") === "") return source;
  if (flags === "i") return source.replaceAll("a-f", "a-fA-F");
  throw new TypeError(`the contract cannot tell of /${source}/${flags}`);
}

function present(keywords: Readonly<Record<string, unknown>>): JsonSchema {
  return Object.fromEntries(Object.entries(keywords).filter(([, value]) => value !== undefined));
}
