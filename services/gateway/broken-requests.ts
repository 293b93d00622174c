import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { SECURITY_HEADERS } from "./answers.ts";
import { PROBLEMS, type ProblemCode } from "./contract/problems.ts";

/** Requests that never become one: Node's parser gives them up, and there is but a socket to answer on. */

const CODES: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: "HEADERS_TOO_LARGE",
  ERR_HTTP_REQUEST_TIMEOUT: "REQUEST_INCOMPLETE",
};

/** Answers what can be answered, and closes the connection: where the next request would begin nobody knows. */
export function refuseBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
  // What was answered in part cannot be answered again; and who is gone hears nothing.
  const { _httpMessage: current } = socket as { _httpMessage?: { headersSent?: boolean } };
  if (error.code === "ECONNRESET" || !socket.writable || current?.headersSent) {
    socket.destroy();
    return;
  }
  socket.end(answerOf(CODES[error.code ?? ""] ?? "MALFORMED_REQUEST"), () => socket.destroy());
}

function answerOf(code: ProblemCode): string {
  const [status, detail] = PROBLEMS[code];
  const correlationId = randomUUID();
  const type = `urn:holdfast:problem:${code.toLowerCase().replaceAll("_", "-")}`;
  const title = STATUS_CODES[status];
  const body = JSON.stringify({ type, title, status, detail, code, instance: "/", correlationId });
  const headers = {
    "content-type": "application/problem+json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
    "x-correlation-id": correlationId,
    connection: "close",
    ...SECURITY_HEADERS,
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${title}\r\n${head.join("")}\r\n${body}`;
}
