import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { writeHead } from "./api-response.ts";
import { asyncApi } from "./contract/asyncapi.ts";
import { openApi } from "./contract/openapi.ts";
import { RouteNotFoundError } from "./refusals.ts";

/** What explains the API: its documents, and the page that shows them. All of it comes from here, none from elsewhere. */

interface Document {
  readonly type: string;
  readonly load: () => Promise<Buffer>;
}

const swagger = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
const own = fileURLToPath(new URL("public", import.meta.url));

const file = (type: string, folder: string, name: string): Document => ({
  type,
  load: () => readFile(join(folder, name)),
});
const json = (make: () => object): Document => ({
  type: "application/json; charset=utf-8",
  load: async () => Buffer.from(JSON.stringify(make())),
});

const JAVASCRIPT = "text/javascript; charset=utf-8";
const DOCUMENTS: Readonly<Record<string, Document>> = {
  "/openapi.json": json(openApi),
  "/asyncapi.json": json(asyncApi),
  "/docs": file("text/html; charset=utf-8", own, "docs.html"),
  "/docs/docs.js": file(JAVASCRIPT, own, "docs.js"),
  "/docs/swagger-ui.css": file("text/css; charset=utf-8", swagger, "swagger-ui.css"),
  "/docs/swagger-ui-bundle.js": file(JAVASCRIPT, swagger, "swagger-ui-bundle.js"),
  "/docs/favicon-32x32.png": file("image/png", swagger, "favicon-32x32.png"),
};

export const DOCUMENT_PATHS: readonly string[] = Object.keys(DOCUMENTS);

// Everything is from here, nothing stands in the page itself, and nobody may frame it.
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

interface Packed {
  readonly plain: Buffer;
  readonly zipped: Buffer;
}

const zip = promisify(gzip);
const loaded = new Map<string, Promise<Packed>>();

async function load({ load: read }: Document): Promise<Packed> {
  const plain = await read();
  return { plain, zipped: await zip(plain) };
}

/** Shows one of the documents. @throws RouteNotFoundError */
export async function showDocument(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const document = Object.hasOwn(DOCUMENTS, path) ? DOCUMENTS[path] : undefined;
  if (document === undefined) throw new RouteNotFoundError();
  // They cannot change while the process runs.
  const loading = loaded.get(path) ?? load(document);
  loaded.set(path, loading);
  loading.catch(() => loaded.delete(path));
  const { plain, zipped } = await loading;
  const isZipped = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
  const body = isZipped ? zipped : plain;
  writeHead(response, 200, {
    "content-type": document.type,
    "content-length": body.length,
    ...(isZipped && { "content-encoding": "gzip" }),
    vary: "accept-encoding",
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
  });
  response.end(body);
}
