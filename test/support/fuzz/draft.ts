import { gzipSync } from "node:zlib";
import type { Person } from "../../../scripts/demo/tokens.ts";
import type { Operation } from "./operations.ts";

export type Header = string | readonly string[] | undefined;
export type Encoding = "utf8" | "latin1" | "utf16le" | "gzip";

/** A request as it was drawn: ids that the system gives out are still names of such, `@id:orderId:7@`. */
export interface Draft {
  readonly operation: Operation;
  readonly path: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [name: string, text: string])[];
  readonly headers: Readonly<Record<string, Header>>;
  /** A person with a token, or a header of this text; null: none. */
  readonly sender: Person | { readonly authorization: string | null };
  readonly body: Body;
}

export type Body = { readonly text: string; readonly encoding: Encoding } | undefined;

/** Of the body, as it goes out. */
export function bytesOf({ text, encoding }: NonNullable<Body>): Buffer {
  return encoding === "gzip" ? gzipSync(text) : Buffer.from(text, encoding);
}

export function addressOf({ operation, path, query }: Draft): string {
  const bare = operation.template.replace(/\{(\w+)\}/g, (_, name: string) => path[name] ?? "");
  if (query.length === 0) return bare;
  const pairs = query.map(
    ([name, text]) => `${encodeURIComponent(name)}=${encodeURIComponent(text.toWellFormed())}`,
  );
  return `${bare}?${pairs.join("&")}`;
}

/** For people who look for the fault. */
export function shown({ operation, sender, headers, body, ...rest }: Draft): string {
  const text = body && { ...body, text: body.text.slice(0, 500) };
  return `${operation.method} ${addressOf({ operation, sender, headers, body, ...rest })} ${JSON.stringify({ sender, headers, body: text })}`;
}
