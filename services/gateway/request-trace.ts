import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "../../lib/config.ts";
import { isChosen, newTraceId, parseTraceparent } from "../../lib/tracing/trace-context.ts";
import { inScope, type OpenSpan, openRoot, openSpan, tracing } from "../../lib/tracing/tracing.ts";
import { proxyBy } from "./client-address.ts";
import { correlationIdOf } from "./correlation.ts";
import type { WebRequest } from "./web.ts";

/** Runs what answers a request as the first span of its trace. */
export type TraceRequest = (request: IncomingMessage, response: ServerResponse, answer: () => void) => void;

/**
 * A request whose caller is trusted (TRACE_PARENTS) goes on in the caller's trace, and is sampled when that is. Any other
 * begins a trace of its own, which points to what the caller has told; by TRACE_RATIO it is sampled or not.
 */
export function traceRequests(settings: Config): TraceRequest {
  const isTrusted = trust(settings);
  return (request, response, answer) => {
    const span = tracing.on ? begin(request, isTrusted(request), settings.TRACE_RATIO) : undefined;
    if (span === undefined) return answer();
    const { method } = request;
    response.once("close", () => {
      const { statusCode } = response;
      const route = (request as WebRequest).$alias?.fullPath ?? "none";
      const attributes = { "http.status_code": statusCode };
      const error = statusCode >= 500 ? `HTTP ${statusCode}` : undefined;
      span.end({
        name: `${method} ${route}`,
        attributes,
        ...(error !== undefined && { error: { code: error } }),
      });
    });
    inScope(span.scope, answer);
  };
}

function begin(request: IncomingMessage, isTrusted: boolean, ratio: number): OpenSpan | undefined {
  const given = parseTraceparent(request.headers.traceparent);
  const start = { name: "request", service: "gateway", kind: "server" } as const;
  const correlationId = correlationIdOf(request.headers["x-correlation-id"]);
  // Taken up again where the request's calls begin: they and their events find this span by it.
  request.headers["x-correlation-id"] = correlationId;
  if (given && isTrusted) {
    if (!given.sampled) return undefined;
    const { traceId, spanId } = given;
    return openSpan(start, [{ traceId, spanId, service: "gateway", correlationId }]);
  }
  const traceId = newTraceId();
  if (!isChosen(traceId, ratio)) return undefined;
  return openRoot({ ...start, correlationId }, traceId, given && [given]);
}

function trust({ TRACE_PARENTS: parents, TRUSTED_PROXIES: proxies }: Config) {
  if (parents !== "proxies") return () => parents === "all";
  const isProxy = proxyBy(proxies);
  return ({ socket }: IncomingMessage) => isProxy(socket.remoteAddress);
}
