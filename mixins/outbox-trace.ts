import type { BusMessage } from "../lib/bus/bus.ts";
import {
  derivedSpanId,
  formatTraceparent,
  parseTraceparent,
  type SpanContext,
} from "../lib/tracing/trace-context.ts";
import { nowMs, recordSpan, tracing } from "../lib/tracing/tracing.ts";
import type { PendingEvent } from "./outbox.store.ts";

/**
 * An event's way out, as spans of the trace that its row was written in: how long it lay in the outbox, and its
 * publication, which the record carries on. Both have ids that follow from the event's own: published twice, it is told
 * of as one.
 */
interface WayOut {
  readonly row: SpanContext;
  readonly outbox: SpanContext;
  readonly publication: SpanContext;
}

function wayOutOf({ headers }: BusMessage): WayOut | undefined {
  const row = parseTraceparent(headers.traceparent);
  if (!row?.sampled) return undefined;
  const { traceId, spanId } = row;
  const id = headers["event-id"] ?? "";
  return {
    row: { traceId, spanId },
    outbox: { traceId, spanId: derivedSpanId("outbox", id) },
    publication: { traceId, spanId: derivedSpanId("publish", id) },
  };
}

/** The events' messages, as they are published. */
export function messagesOf(events: readonly PendingEvent[]): BusMessage[] {
  return tracing.on ? events.map(withTrace) : events.map(({ message }) => message);
}

function withTrace({ message }: PendingEvent): BusMessage {
  const way = wayOutOf(message);
  if (way === undefined) return message;
  return { ...message, headers: { ...message.headers, traceparent: formatTraceparent(way.publication) } };
}

/** Records the way of events that are out. */
export function recordPublished(events: readonly PendingEvent[], service: string, durationMs: number): void {
  if (!tracing.on) return;
  const endMs = nowMs();
  for (const { message, type, createdAtMs } of events) {
    const way = wayOutOf(message);
    if (way === undefined) continue;
    const { topic, headers } = message;
    const attributes = { eventId: headers["event-id"], correlationId: headers["correlation-id"], topic };
    const common = { service, endMs, attributes };
    const { row, outbox, publication } = way;
    recordSpan({
      ...common,
      ...outbox,
      parentId: row.spanId,
      name: `outbox ${type}`,
      kind: "internal",
      // By the database's clock, which may be a little ahead of ours.
      startMs: Math.min(createdAtMs, endMs - durationMs),
    });
    recordSpan({
      ...common,
      ...publication,
      parentId: outbox.spanId,
      name: `publish ${topic}`,
      kind: "producer",
      startMs: endMs - durationMs,
      attributes: { ...attributes, "batch.size": events.length },
    });
  }
}
