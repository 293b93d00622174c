import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Config } from "../../lib/config.ts";
import { writeHead } from "./api-response.ts";
import { proxyBy } from "./client-address.ts";

/** What of an answer's head goes by how and from where the request came. */
export interface TransportHeaders {
  /** Sets it, for whatever will be answered. */
  set(request: IncomingMessage, response: ServerResponse): void;
  /** Answers a browser that asks whether it may ask. False: this is no such question, or none of these origins. */
  answersPreflight(request: IncomingMessage, response: ServerResponse): boolean;
}

const HSTS = "max-age=31536000";
const METHODS = "GET, POST, PUT";
const ASKED_WITH =
  "Authorization, Content-Type, Idempotency-Key, If-None-Match, Prefer, X-Correlation-ID, Last-Event-ID";
const SHOWN =
  "Location, Retry-After, Idempotent-Replayed, Preference-Applied, ETag, RateLimit, RateLimit-Policy, X-Correlation-ID";
const PREFLIGHT_HEADERS = {
  "access-control-allow-methods": METHODS,
  "access-control-allow-headers": ASKED_WITH,
  // For so long a browser need not ask again.
  "access-control-max-age": "600",
};

/**
 * Strict-Transport-Security where the client speaks TLS, with us or with a trusted proxy before us: over plain HTTP it
 * means nothing, and anybody could write it. And CORS for the origins of CORS_ORIGINS, whose pages may read answers; there
 * are no cookies, so that credentials are not asked for. Other origins get no word of it, and browsers keep their pages out.
 */
export function createTransportHeaders(settings: Config): TransportHeaders {
  const isProxy = proxyBy(settings.TRUSTED_PROXIES);
  const origins = new Set(settings.CORS_ORIGINS);
  const isSecure = ({ socket, headers }: IncomingMessage) =>
    (socket as Partial<TLSSocket>).encrypted === true ||
    (headers["x-forwarded-proto"] === "https" && isProxy(socket.remoteAddress));
  const allowed = ({ headers: { origin } }: IncomingMessage) =>
    origin !== undefined && origins.has(origin) ? origin : undefined;
  return {
    set(request, response) {
      if (isSecure(request)) response.setHeader("Strict-Transport-Security", HSTS);
      if (origins.size === 0) return;
      response.setHeader("Vary", "Origin");
      const origin = allowed(request);
      if (origin === undefined) return;
      response.setHeader("Access-Control-Allow-Origin", origin);
      response.setHeader("Access-Control-Expose-Headers", SHOWN);
    },
    answersPreflight(request, response) {
      const { method, headers } = request;
      if (method !== "OPTIONS" || headers["access-control-request-method"] === undefined) return false;
      if (allowed(request) === undefined) return false;
      writeHead(response, 204, PREFLIGHT_HEADERS);
      response.end();
      return true;
    },
  };
}
