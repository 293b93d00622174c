import type { Attributes, SpanKind, SpanRecord } from "./tracing.ts";

/** Spans as OTLP/HTTP takes them in JSON (POST /v1/traces): one resource per service. */
export function otlpBody(spans: readonly SpanRecord[]): string {
  const services = Map.groupBy(spans, ({ service }) => service);
  return JSON.stringify({
    resourceSpans: [...services].map(([service, theirs]) => ({
      resource: {
        attributes: keyValues({ "service.name": service, "service.namespace": "holdfast" }),
      },
      scopeSpans: [{ scope: { name: "holdfast" }, spans: theirs.map(otlpSpan) }],
    })),
  });
}

const KINDS: Readonly<Record<SpanKind, number>> = {
  internal: 1,
  server: 2,
  client: 3,
  producer: 4,
  consumer: 5,
};
const SAMPLED = 0x01;
const STATUS_ERROR = 2;

function otlpSpan({ links, error, ...span }: SpanRecord) {
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    ...(span.parentId !== undefined && { parentSpanId: span.parentId }),
    flags: SAMPLED,
    name: span.name,
    kind: KINDS[span.kind],
    startTimeUnixNano: nanoseconds(span.startMs),
    endTimeUnixNano: nanoseconds(span.endMs),
    attributes: keyValues(span.attributes),
    ...(links && { links: links.map(({ traceId, spanId }) => ({ traceId, spanId, flags: SAMPLED })) }),
    ...(error !== undefined && { status: { code: STATUS_ERROR, message: error } }),
  };
}

/** 64 bits are a text in JSON; microseconds are all that is known. */
function nanoseconds(ms: number): string {
  return `${Math.round(ms * 1_000)}000`;
}

function keyValues(attributes: Attributes) {
  return Object.entries<Attributes[string]>(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: anyValue(value) }],
  );
}

function anyValue(value: string | number | boolean) {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
