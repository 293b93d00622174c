/**
 * Text that PostgreSQL takes, and can read again out of JSON: it knows neither NUL nor halves of surrogate pairs, and
 * fails on both only when somebody looks into the document. They become the replacement character.
 */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\ufffd");
}

/** A JSON value with all its texts storable. For what others have sent: ours is checked where it comes in. */
export function storable<Value>(value: Value): Value;
export function storable(value: unknown): unknown {
  if (typeof value === "string") return storableText(value);
  if (Array.isArray(value)) return value.map((one) => storable<unknown>(one));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [storableText(name), storable<unknown>(one)]),
  );
}
