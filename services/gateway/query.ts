import type { IncomingMessage } from "node:http";
import { type FieldError, InvalidInputError } from "../../lib/errors.ts";
import { flag, id, type JsonSchema } from "./contract/json-schema.ts";

/** Reads one parameter of a query string, which is text whatever it means. */
export interface QueryReader<Value> {
  readonly read: (text: string) => Value | undefined;
  readonly expected: string;
  readonly schema: JsonSchema;
}

interface Address {
  readonly url: string;
  readonly query: Readonly<Record<string, unknown>>;
}

export type QueryReaders = Readonly<Record<string, QueryReader<unknown>>>;

export type QueryOf<Readers> = {
  readonly [Name in keyof Readers]?: Readers[Name] extends QueryReader<infer Value> ? Value : never;
};

/**
 * In place of moleculer-web's own: the address, and the parameters of its query by name; what comes twice is a list. It is flat: `a[b]=1` is a parameter
 * named `a[b]`. Nothing is left out, whatever it is called (qs leaves out `hasOwnProperty` and `__proto__`): what nobody
 * knows is refused, and not passed over.
 */
export function parseQueryString({ url: address = "" }: Pick<IncomingMessage, "url">): Address {
  const at = address.indexOf("?", 1);
  if (at < 0) return { url: address, query: {} };
  const query: Record<string, unknown> = Object.create(null);
  const pairs = new URLSearchParams(address.slice(at + 1));
  for (const name of new Set(pairs.keys())) {
    const values = pairs.getAll(name);
    query[name] = values.length === 1 ? values[0] : values;
  }
  return { url: address.slice(0, at), query };
}

/** Told at once: who sends hundreds of them need not get each back. */
const PROBLEMS_MAX = 20;

/** Reads a query by its readers. Unknown and repeated parameters are refused. @throws InvalidInputError */
export function readQuery<const Readers extends QueryReaders>(
  query: Readonly<Record<string, unknown>>,
  readers: Readers,
): QueryOf<Readers> {
  const problems: FieldError[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(query)) {
    const reader = Object.hasOwn(readers, name) ? readers[name] : undefined;
    const value = typeof text === "string" ? reader?.read(text) : undefined;
    if (value !== undefined) values[name] = value;
    else {
      const message =
        reader === undefined ? "This parameter is not known here." : `Expected ${reader.expected}.`;
      problems.push({ field: name.slice(0, 64), message });
    }
  }
  if (problems.length > 0) throw new InvalidInputError(problems.slice(0, PROBLEMS_MAX));
  return values as QueryOf<Readers>;
}

export function oneOf<const Choice extends string>(choices: readonly Choice[]): QueryReader<Choice> {
  return {
    read: (text) => choices.find((choice) => choice === text),
    expected: `one of ${choices.join(", ")}`,
    schema: { type: "string", enum: [...choices] },
  };
}

export function wholeNumber(min: number, max: number): QueryReader<number> {
  const read = (text: string) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  };
  const schema = { type: "integer", minimum: min, maximum: max };
  return { read, expected: `a whole number from ${min} to ${max}`, schema };
}

export const uuid: QueryReader<string> = {
  read: (text) =>
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : undefined,
  expected: "a UUID",
  schema: id,
};

/** Visible ASCII: a cursor. */
export function token(lengthMax: number): QueryReader<string> {
  const read = (text: string) => (/^[\x21-\x7e]+$/.test(text) && text.length <= lengthMax ? text : undefined);
  const schema = { type: "string", pattern: `^[\\x21-\\x7e]{1,${lengthMax}}$` };
  return { read, expected: `1 to ${lengthMax} visible ASCII characters`, schema };
}

export const yesOrNo: QueryReader<boolean> = {
  read: (text) => ({ true: true, false: false })[text],
  expected: "true or false",
  schema: flag,
};

/** Of every list. */
export const PAGE = {
  limit: explained("At most so many; default 20.", wholeNumber(1, 100)),
  cursor: explained("`nextCursor` of the page before.", token(200)),
};

export function explained<Value>(about: string, reader: QueryReader<Value>): QueryReader<Value> {
  return { ...reader, schema: { ...reader.schema, description: about } };
}

const INSTANT = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** A date, or a date and time with its offset, given on as UTC. */
export const instant: QueryReader<string> = {
  read: (text) => {
    const time = INSTANT.test(text) ? Date.parse(text) : Number.NaN;
    return Number.isNaN(time) ? undefined : new Date(time).toISOString();
  },
  expected: "a time as in 2026-01-31 or 2026-01-31T12:00:00Z",
  schema: { type: "string", pattern: INSTANT.source, examples: ["2026-01-31T12:00:00Z"] },
};
