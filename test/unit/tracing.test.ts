import { setImmediate as nextTurn } from "node:timers/promises";
import { createBatcher } from "../../lib/batcher.ts";
import { loadConfig } from "../../lib/config.ts";
import { pinoOptions } from "../../lib/logging.ts";
import { createPoller } from "../../lib/poller.ts";
import {
  derivedSpanId,
  formatTraceparent,
  isChosen,
  newTraceId,
  parseTraceparent,
} from "../../lib/tracing/trace-context.ts";
import { traces } from "../../lib/tracing/tracing.middleware.ts";
import {
  currentScope,
  inScope,
  inSpan,
  openRoot,
  recordSpan,
  type SpanRecord,
  traceIdOf,
  traceparentOf,
  traceTo,
} from "../../lib/tracing/tracing.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";

describe("a traceparent", () => {
  test("is read as W3C has it, also of later versions", () => {
    expect(parseTraceparent(`00-${traceId}-${spanId}-01`)).toEqual({ traceId, spanId, sampled: true });
    expect(parseTraceparent(`00-${traceId}-${spanId}-00`)).toMatchObject({ sampled: false });
    expect(parseTraceparent(`00-${traceId}-${spanId}-fe`)).toMatchObject({ sampled: false });
    expect(parseTraceparent(`cc-${traceId}-${spanId}-01-more`)).toMatchObject({ sampled: true });
    expect(formatTraceparent({ traceId, spanId })).toBe(`00-${traceId}-${spanId}-01`);
  });

  test.each([
    ["nothing", undefined],
    ["several headers", [`00-${traceId}-${spanId}-01`]],
    ["no trace", `00-${"0".repeat(32)}-${spanId}-01`],
    ["no span", `00-${traceId}-${"0".repeat(16)}-01`],
    ["capital letters", `00-${traceId.toUpperCase()}-${spanId}-01`],
    ["the forbidden version", `ff-${traceId}-${spanId}-01`],
    ["more than version 00 has", `00-${traceId}-${spanId}-01-more`],
    ["a line break", `00-${traceId}-${spanId}-01\nx`],
    ["too long a text", `cc-${traceId}-${spanId}-01-${"x".repeat(300)}`],
  ])("that is %s is none", (_, text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  test("has ids that everybody derives alike", () => {
    expect(derivedSpanId("publish", "e1")).toMatch(/^[0-9a-f]{16}$/);
    expect(derivedSpanId("publish", "e1")).toBe(derivedSpanId("publish", "e1"));
    expect(derivedSpanId("publish", "e1")).not.toBe(derivedSpanId("outbox", "e1"));
  });

  test("is chosen by its id, by about the share that is asked for", () => {
    const ids = Array.from({ length: 20_000 }, newTraceId);
    const share = ids.filter((id) => isChosen(id, 0.1)).length / ids.length;
    expect(share).toBeGreaterThan(0.08);
    expect(share).toBeLessThan(0.12);
    expect(ids.every((id) => isChosen(id, 1))).toBe(true);
    expect(ids.some((id) => isChosen(id, 0))).toBe(false);
  });
});

describe("spans", () => {
  const spans: SpanRecord[] = [];
  beforeEach(() => {
    spans.length = 0;
    traceTo((span) => spans.push(span));
  });
  afterEach(() => traceTo(undefined));

  const named = (name: string) => spans.filter((span) => span.name === name);
  const root = (correlationId: string) =>
    openRoot({ name: "request", service: "gateway", correlationId }, newTraceId());

  test("stand below each other, with their service, what they are about and how they failed", async () => {
    const request = root("c-1");
    await inScope(request.scope, async () => {
      await inSpan({ name: "draft", service: "order" }, async () => {
        await inSpan({ name: "insert" }, async () => "done");
        const failure = Object.assign(new Error("personal text"), { type: "ORDER_STATE_CONFLICT" });
        await expect(inSpan({ name: "update" }, () => Promise.reject(failure))).rejects.toBe(failure);
      });
    });
    request.end({ name: "POST /api/orders" });
    request.end({ name: "a second end" });
    const [insert, update, draft, request1, ...more] = spans;
    expect(more).toEqual([]);
    expect(insert).toMatchObject({ name: "insert", service: "order", parentId: draft?.spanId });
    expect(update).toMatchObject({ error: "ORDER_STATE_CONFLICT", parentId: draft?.spanId });
    expect(JSON.stringify(update)).not.toContain("personal text");
    expect(draft).toMatchObject({ parentId: request1?.spanId, attributes: { correlationId: "c-1" } });
    expect(request1).toMatchObject({ name: "POST /api/orders", service: "gateway" });
    expect(request1?.parentId).toBeUndefined();
  });

  test("of a batch: one in the trace of each sampled item, and none that leaks into what comes after", async () => {
    const told: (string | undefined)[][] = [];
    const double = createBatcher<string, string>({
      name: "double",
      concurrency: 1,
      run: async (items) => {
        await inSpan({ name: "statement" }, nextTurn);
        told.push(items.map((item) => traceparentOf({ correlationId: item })));
        return items;
      },
    });
    const [first, second] = [root("c-1"), root("c-2")];
    const items = [
      inScope(first.scope, () => double("c-1")),
      double("nobody"),
      inScope(second.scope, () => double("c-2")),
    ];
    await Promise.all(items);
    await double("nobody");
    const [one, two] = named("double");
    const [batch] = named("batch double");
    expect([one?.traceId, two?.traceId]).toEqual([first.scope[0]?.traceId, second.scope[0]?.traceId]);
    expect(one?.attributes).toMatchObject({ "batch.size": 3, "batch.sampled": 2, correlationId: "c-1" });
    expect(one?.links).toEqual([{ traceId: batch?.traceId, spanId: batch?.spanId }]);
    expect(batch?.links).toEqual(
      [one, two].map((span) => ({ traceId: span?.traceId, spanId: span?.spanId })),
    );
    expect(named("statement").map(({ parentId }) => parentId)).toEqual([one?.spanId, two?.spanId]);
    const carried = [one, two].map((span) => span && formatTraceparent(span));
    expect(told).toEqual([[carried[0], undefined, carried[1]], [undefined]]);
  });

  test("do not follow whoever wakes a loop", async () => {
    const scopes: unknown[] = [];
    const poller = createPoller({
      name: "relay",
      intervalMs: 60_000,
      run: async () => {
        scopes.push(currentScope());
        return false;
      },
      onError: () => undefined,
    });
    await inScope(root("c-1").scope, async () => {
      poller.start();
      await nextTurn();
      poller.wake();
      await nextTurn();
    });
    await poller.stop();
    expect(scopes).toEqual([undefined, undefined]);
  });

  test("tell the trace of a log line that is clearly about one of them", () => {
    const [first, second] = [root("c-1"), root("c-2")];
    expect(traceIdOf("c-1")).toBeUndefined();
    inScope(first.scope, () => {
      expect(traceIdOf("c-1")).toBe(first.scope[0]?.traceId);
      expect(traceIdOf(undefined)).toBe(first.scope[0]?.traceId);
      expect(traceIdOf("another")).toBeUndefined();
    });
    inScope([...first.scope, ...second.scope], () => {
      expect(traceIdOf("c-2")).toBe(second.scope[0]?.traceId);
      expect(traceIdOf(undefined)).toBeUndefined();
    });
  });

  test("are found by the event that was the cause, before the correlation id", () => {
    const [scope] = root("c-1").scope;
    if (scope === undefined) throw new Error("no scope");
    const [a, b] = [
      { ...scope, spanId: "a".repeat(16), causationId: "e-a" },
      { ...scope, spanId: "b".repeat(16), causationId: "e-b" },
    ];
    inScope([a, b], () => {
      expect(traceparentOf({ correlationId: "c-1", causationId: "e-b" })).toContain("b".repeat(16));
      expect(traceparentOf({ correlationId: "c-1", causationId: "unknown" })).toContain("a".repeat(16));
    });
  });

  test("are not made while nothing is traced", async () => {
    const request = root("c-1");
    traceTo(undefined);
    await inScope(request.scope, async () => {
      expect(currentScope()).toBeUndefined();
      await inSpan({ name: "draft" }, async () => undefined);
    });
    recordSpan({ ...({} as SpanRecord), name: "late" });
    expect(spans).toEqual([]);
  });
});

describe("settings", () => {
  test.each([
    [{ TRACE_EXPORTER: "otlp" }, "TRACE_URL"],
    [{ TRACE_EXPORTER: "jaeger" }, "TRACE_EXPORTER"],
    [{ TRACE_EXPORTER: "zipkin", TRACE_URL: "zipkin:9411" }, "TRACE_URL"],
    [{ TRACE_EXPORTER: "otlp", TRACE_URL: "http://c", TRACE_HEADERS: "a-key" }, "TRACE_HEADERS"],
  ])("%p are refused by name", (env, setting) => {
    expect(() => {
      for (const middleware of traces(loadConfig(env))) middleware.created?.({} as never);
    }).toThrow(setting);
  });

  test("add nothing at all unless there is an exporter", () => {
    expect(traces(loadConfig({}))).toEqual([]);
    expect(pinoOptions(loadConfig({}))).not.toHaveProperty("mixin");
  });
});
