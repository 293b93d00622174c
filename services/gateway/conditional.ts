import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Answer } from "./answers.ts";
import type { Route } from "./contract/route.ts";
import type { Reply } from "./request.ts";

/** Conditional GET (RFC 9110): who has the answer already is told so, in place of the answer. */

/** The reply as it goes out: to a GET with its tag, or as nothing but that where the client has it already. */
export function answerOf(route: Route, request: IncomingMessage, reply: Reply): Answer {
  if (reply.body === undefined)
    return { status: reply.status, ...(reply.headers && { headers: reply.headers }) };
  const body = route.stringify(reply.body, reply.status);
  if (route.method !== "GET" || reply.status !== 200) return { ...reply, body };
  const etag = tagOf(body);
  const headers = {
    ...reply.headers,
    etag,
    ...(route.cacheable && { "cache-control": "private, no-cache" }),
  };
  if (isKnown(request.headers["if-none-match"], etag)) return { status: 304, headers };
  return { ...reply, headers, body };
}

/** A strong tag: of the very bytes. 1.3 us for an order of three lines. */
function tagOf(body: string): string {
  return `"${hash("sha1", body, "base64url")}"`;
}

const TAGS = /(?:W\/)?"[\x21\x23-\x7e]*"/g;

/** Whether If-None-Match names the tag. Compared weakly, as the RFC asks for. */
function isKnown(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === "*") return true;
  return header.match(TAGS)?.some((one) => one.replace(/^W\//, "") === tag) ?? false;
}
