import type { IncomingMessage } from "node:http";
import {
  BodyTooLargeError,
  ClientGoneError,
  MalformedJsonError,
  UnsupportedMediaTypeError,
} from "./refusals.ts";

export const BODY_BYTES_MAX = 64 * 1_024;
const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

/**
 * Reads and parses a JSON body.
 * @throws UnsupportedMediaTypeError, BodyTooLargeError, MalformedJsonError, ClientGoneError
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!JSON_TYPE.test(request.headers["content-type"] ?? "")) {
    throw new UnsupportedMediaTypeError("Send the body as application/json in UTF-8.");
  }
  const text = await readRaw(request);
  if (text === "") throw new MalformedJsonError("The body is empty.");
  try {
    return JSON.parse(text);
  } catch {
    // The engine's message quotes the body.
    throw new MalformedJsonError("The body is not valid JSON.");
  }
}

/** Without a body there is nothing to be of any type. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/**
 * Reads a body as it was sent: what is signed is its bytes.
 * @throws UnsupportedMediaTypeError, BodyTooLargeError, ClientGoneError
 */
export async function readRaw(request: IncomingMessage): Promise<string> {
  const encoding = request.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new UnsupportedMediaTypeError("Send the body uncompressed.");
  }
  if (Number(request.headers["content-length"] ?? 0) > BODY_BYTES_MAX)
    throw new BodyTooLargeError(BODY_BYTES_MAX);
  return readText(request);
}

function readText(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_BYTES_MAX) chunks.push(chunk);
      else reject(new BodyTooLargeError(BODY_BYTES_MAX));
    });
    request.on("end", () =>
      resolve((chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))?.toString() ?? ""),
    );
    request.on("error", () => reject(new ClientGoneError()));
    // Without an error too: a client may end in the middle of what it announced.
    request.on("close", () => {
      if (!request.complete) reject(new ClientGoneError());
    });
  });
}
