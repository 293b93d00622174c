import fc from "fast-check";
import type { JsonSchema } from "../../../services/gateway/contract/json-schema.ts";
import { dereferenced } from "./operations.ts";

/** Values for a JSON Schema: such that mostly fit it, such that hardly do, and such that nobody would send by mistake. */

/** Stands for an id of that kind that the system has given out; filled in when the request is sent. */
export const idOf = (kind: string): fc.Arbitrary<string> =>
  fc.nat({ max: 9_999 }).map((which) => `@id:${kind}:${which}@`);

const HOSTILE_TEXTS = [
  "",
  " ",
  "\u0000",
  "a\u0000b",
  "\ud800",
  "\udc00tail",
  "\u{1f600}",
  "\u202e",
  "\ufeff",
  "e\u0301".repeat(40),
  "\u{1f600}".repeat(300),
  "x".repeat(2_000),
  "__proto__",
  "constructor",
  "toString",
  "'; drop table orders; --",
  "' or '1'='1",
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is what is sent.
  "${7*7}",
  "{{7*7}}",
  "../../etc/passwd",
  "\r\nX-Injected: 1",
  "%00",
  "1e400",
  "null",
  "true",
  "[object Object]",
] as const;

/** Replaced in the JSON text: what JSON.stringify would not write. */
const UNWRITABLE = [
  "@raw:1e400@",
  "@raw:-0@",
  "@raw:1e-400@",
  "@raw:9007199254740993@",
  "@raw:0.1e1@",
] as const;
const NUMBERS = [0, -1, 1.5, 1e9, 1e21, 2 ** 31, 2 ** 53, -(2 ** 63), Number.MAX_VALUE, Number.MIN_VALUE];
const OBJECTS = [
  '{"__proto__":{"roles":["staff"]}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"$ne":null}',
];

export const hostileText: fc.Arbitrary<string> = fc.constantFrom(...HOSTILE_TEXTS);

/** Any JSON at all. */
export const wild: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(...NUMBERS, ...UNWRITABLE, null, true, false, [], {}),
  fc.constantFrom(...OBJECTS).map((text): unknown => JSON.parse(text)),
  fc.integer({ min: 10, max: 2_000 }).map(nested),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: "binary", maxLength: 30 }),
);

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/** @param kind what an id here is an id of */
export function fitting(given: JsonSchema, kind = "any"): fc.Arbitrary<unknown> {
  const schema = dereferenced(given);
  const { const: only, enum: values, type } = schema;
  if (only !== undefined) return fc.constant(only);
  if (Array.isArray(values)) return fc.constantFrom<unknown>(...values);
  if (type === "object") return fittingObject(schema);
  if (type === "array") return fittingList(schema, kind);
  if (type === "boolean") return fc.boolean();
  if (type === "integer" || type === "number") return fittingNumber(schema);
  return fittingText(schema, kind);
}

function fittingObject({ properties, required }: JsonSchema): fc.Arbitrary<unknown> {
  const fields = Object.entries((properties ?? {}) as Record<string, JsonSchema>);
  const requiredKeys = Array.isArray(required) ? (required as string[]) : [];
  return fc.record(Object.fromEntries(fields.map(([name, schema]) => [name, fitting(schema, name)])), {
    requiredKeys,
    noNullPrototype: true,
  });
}

function fittingList({ items, minItems, maxItems, uniqueItems }: JsonSchema, kind: string) {
  const item = fitting((items ?? {}) as JsonSchema, kind);
  const size = { minLength: Number(minItems ?? 0), maxLength: Math.min(Number(maxItems ?? 4), 4) };
  return uniqueItems === true ? fc.uniqueArray(item, size) : fc.array(item, size);
}

function fittingNumber({ minimum, maximum, examples }: JsonSchema): fc.Arbitrary<unknown> {
  const min = Number(minimum ?? 0);
  const max = Number(maximum ?? 1_000);
  const ordinary = fc.integer({ min: Math.max(min, 1), max: Math.min(max, Math.max(min, 1) + 9) });
  return fc.oneof(
    { weight: 8, arbitrary: ordinary },
    { weight: 1, arbitrary: fc.constantFrom(min, max) },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(...(Array.isArray(examples) ? examples : [min])) },
  );
}

const WORDS = fc.stringMatching(/^[a-z][a-z0-9_-]{2,20}$/);
const UUID_PATTERN = "[0-9a-fA-F]{8}";
/** The document's examples come up this often: where they are names that mean something, little else does anything. */
const EXAMPLE_WEIGHT = 3;

function fittingText(schema: JsonSchema, kind: string): fc.Arbitrary<unknown> {
  const { format, pattern, examples, minLength, maxLength } = schema;
  if (format === "uuid" || String(pattern).includes(UUID_PATTERN)) return uuids(kind);
  const size = { minLength: Number(minLength ?? 1), maxLength: Math.min(Number(maxLength ?? 40), 40) };
  const text = matching(pattern) ?? fc.oneof(WORDS, fc.string(size), fc.emailAddress());
  const atTheLimit = fc.constantFrom(
    "x".repeat(Number(maxLength ?? 1)),
    "\u00e9".repeat(Number(minLength ?? 1)),
  );
  const known = Array.isArray(examples) && examples.length > 0 ? fc.constantFrom<unknown>(...examples) : text;
  return fc.oneof(
    { weight: EXAMPLE_WEIGHT, arbitrary: known },
    { weight: 2, arbitrary: text },
    { weight: 1, arbitrary: atTheLimit },
  );
}

const uuids = (kind: string) =>
  fc.oneof(
    { weight: 8, arbitrary: idOf(kind) },
    { weight: 1, arbitrary: fc.uuid() },
    { weight: 1, arbitrary: fc.uuid().map((id) => id.toUpperCase()) },
  );

/** Undefined for patterns that fast-check cannot make texts of. */
function matching(pattern: unknown): fc.Arbitrary<string> | undefined {
  if (typeof pattern !== "string") return undefined;
  try {
    return fc.stringMatching(new RegExp(pattern, "u"));
  } catch {
    return undefined;
  }
}

interface Change {
  readonly where: number;
  readonly how: "replace" | "remove" | "add";
  readonly name: string;
  readonly value: unknown;
}

const change: fc.Arbitrary<Change> = fc.record({
  where: fc.nat({ max: 999 }),
  how: fc.constantFrom("replace", "replace", "remove", "add"),
  name: fc.constantFrom(
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "id",
    "status",
    "roles",
    "",
    "\u0000",
  ),
  value: wild,
});

/** A value that fits, but for one place. */
export function nearlyFitting(schema: JsonSchema): fc.Arbitrary<unknown> {
  return fc.tuple(fitting(schema), change).map(([value, made]) => changed(value, made));
}

type Holder = Record<string, unknown>;

function changed(value: unknown, { where, how, name, value: other }: Change): unknown {
  const copy: unknown = structuredClone(value);
  const holders = holdersIn(copy);
  const holder = holders[where % Math.max(holders.length, 1)];
  if (holder === undefined) return other;
  const keys = Object.keys(holder);
  const key = keys[where % Math.max(keys.length, 1)];
  if (how === "add" || key === undefined) define(holder, name, other);
  else if (how === "remove") delete holder[key];
  else define(holder, key, other);
  return copy;
}

/** As a JSON parser sets it: `__proto__` is a name like any other. */
function define(holder: Holder, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
}

function holdersIn(value: unknown): Holder[] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Holder;
  return [holder, ...Object.values(holder).flatMap(holdersIn)];
}

/** JSON with what JavaScript's own writer cannot write. */
export function textOf(value: unknown): string {
  return (JSON.stringify(value) ?? "null").replace(/"@raw:([^"@]*)@"/g, "$1");
}
