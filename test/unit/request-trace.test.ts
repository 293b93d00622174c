import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { loadConfig } from "../../lib/config.ts";
import { currentScope, type Scope, type SpanRecord, traceTo } from "../../lib/tracing/tracing.ts";
import { traceRequests } from "../../services/gateway/request-trace.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const given = `00-${traceId}-${spanId}-01`;

interface Asked {
  readonly env?: NodeJS.ProcessEnv;
  readonly from?: string;
  readonly traceparent?: string;
  readonly status?: number;
}

/** One request through the gateway's tracing; answers the scope it ran in, and its span. */
function ask({ env = {}, from = "203.0.113.9", traceparent, status = 202 }: Asked) {
  const spans: SpanRecord[] = [];
  traceTo((span) => spans.push(span));
  const headers: Record<string, string> = { "x-correlation-id": "correlation-1" };
  if (traceparent !== undefined) headers.traceparent = traceparent;
  const alias = { fullPath: "/api/orders/:orderId" };
  const request = { method: "POST", headers, socket: { remoteAddress: from }, $alias: alias };
  const response = Object.assign(new EventEmitter(), { statusCode: status });
  let scope: Scope | undefined;
  const traced = traceRequests(loadConfig(env));
  traced(request as unknown as IncomingMessage, response as unknown as ServerResponse, () => {
    scope = currentScope();
  });
  response.emit("close");
  traceTo(undefined);
  return { scope, spans };
}

describe("a request", () => {
  test("begins a trace, which is named by its route and knows its correlation id", () => {
    const { scope, spans } = ask({});
    expect(spans).toEqual([
      expect.objectContaining({
        name: "POST /api/orders/:orderId",
        kind: "server",
        service: "gateway",
        attributes: { "http.status_code": 202, correlationId: "correlation-1" },
      }),
    ]);
    expect(scope).toEqual([
      {
        traceId: spans[0]?.traceId,
        spanId: spans[0]?.spanId,
        service: "gateway",
        correlationId: "correlation-1",
      },
    ]);
  });

  test("of anybody begins a trace of its own, which points to theirs", () => {
    const { spans } = ask({ traceparent: given });
    expect(spans[0]?.traceId).not.toBe(traceId);
    expect(spans[0]?.parentId).toBeUndefined();
    expect(spans[0]?.links).toEqual([expect.objectContaining({ traceId, spanId })]);
  });

  test("of a trusted proxy goes on in its trace", () => {
    const env = { TRUSTED_PROXIES: "10.0.0.0/8", TRACE_RATIO: "0" };
    const trusted = ask({ env, from: "::ffff:10.1.2.3", traceparent: given });
    expect(trusted.spans).toEqual([expect.objectContaining({ traceId, parentId: spanId })]);
    expect(ask({ env, from: "203.0.113.9", traceparent: given }).spans).toEqual([]);
    expect(
      ask({ env: { ...env, TRACE_PARENTS: "none" }, from: "10.1.2.3", traceparent: given }).spans,
    ).toEqual([]);
  });

  test("is sampled as its trusted caller says, else by the ratio", () => {
    const env = { TRACE_PARENTS: "all" };
    expect(ask({ env, traceparent: `00-${traceId}-${spanId}-00` }).spans).toEqual([]);
    expect(ask({ env, traceparent: "00-0" }).spans).toHaveLength(1);
    expect(ask({ env: { ...env, TRACE_RATIO: "0" } })).toEqual({ scope: undefined, spans: [] });
  });

  test("that failed on our side says so", () => {
    expect(ask({ status: 503 }).spans).toEqual([expect.objectContaining({ error: "HTTP 503" })]);
    expect(ask({ status: 404 }).spans[0]).not.toHaveProperty("error");
  });
});

test.each(["-1", "1.5", "half", "1e-3", "0,5"])("%s is no ratio", (TRACE_RATIO) => {
  expect(() => loadConfig({ TRACE_RATIO })).toThrow("TRACE_RATIO");
});
