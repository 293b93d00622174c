import type { ServerResponse } from "node:http";
import { writeHead } from "./api-response.ts";

/** For every answer: nobody keeps it, nobody takes it for something else, nobody frames it. */
export const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** As it goes out; 304 has none. */
  readonly body?: string;
}

/** Writes an answer. Once the head is out nothing can be answered any more: the connection is cut. */
export function send(
  response: ServerResponse,
  answer: Answer,
  contentType = "application/json; charset=utf-8",
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const described = answer.body !== undefined && {
    "content-type": contentType,
    "content-length": Buffer.byteLength(answer.body),
  };
  writeHead(response, answer.status, { ...described, ...SECURITY_HEADERS, ...answer.headers });
  response.end(answer.body);
}
