import type { SpanRecord } from "./tracing.ts";

/** Spans as Zipkin's API v2 takes them (POST /api/v2/spans). */
export function zipkinBody(spans: readonly SpanRecord[]): string {
  return JSON.stringify(spans.map(zipkinSpan));
}

function zipkinSpan(span: SpanRecord) {
  const startUs = Math.round(span.startMs * 1_000);
  const { traceId, spanId: id, parentId, name, kind, service: serviceName } = span;
  return {
    traceId,
    id,
    ...(parentId !== undefined && { parentId }),
    name,
    ...(kind !== "internal" && { kind: kind.toUpperCase() }),
    timestamp: startUs,
    // Zero would mean that nobody knows.
    duration: Math.max(1, Math.round(span.endMs * 1_000) - startUs),
    localEndpoint: { serviceName },
    tags: tagsOf(span),
  };
}

/** Zipkin knows texts alone, and no links. */
function tagsOf({ attributes, links = [], error }: SpanRecord): Record<string, string> {
  const tags: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) tags[name] = String(value);
  if (links.length > 0) tags.links = links.map(({ traceId, spanId }) => `${traceId}/${spanId}`).join(" ");
  if (error !== undefined) tags.error = error;
  return tags;
}
