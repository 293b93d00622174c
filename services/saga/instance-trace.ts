import type { Instance } from "../../engine/protocol.ts";
import { derivedSpanId, parseTraceparent } from "../../lib/tracing/trace-context.ts";
import { inScope, nowMs, recordSpan, type Scope, tracing } from "../../lib/tracing/tracing.ts";
import type { OrderInstance } from "./participants.ts";

/**
 * The trace of an instance. Its span's id follows from what its row holds, so that any node puts its own work below it,
 * and whichever sees the end records it.
 */
export function withinTrace<I extends Instance, Result>(instance: I, work: () => Result): Result {
  return tracing.on ? inScope(scopeOf(instance), work) : work();
}

function scopeOf({ id, traceparent, correlationId }: Instance): Scope | undefined {
  const parent = parseTraceparent(traceparent);
  if (parent === undefined) return undefined;
  return [
    { traceId: parent.traceId, spanId: derivedSpanId(parent.spanId, id), service: "saga", correlationId },
  ];
}

/** Records the whole of an instance that has ended; `failure` is the code of what it ended for. */
export function recordInstance(instance: OrderInstance, failure: string | undefined): void {
  const parent = tracing.on && parseTraceparent(instance.traceparent);
  if (!parent) return;
  const { id, type: name, state, correlationId, businessKey: orderId } = instance;
  recordSpan({
    traceId: parent.traceId,
    spanId: derivedSpanId(parent.spanId, id),
    parentId: parent.spanId,
    name,
    kind: "internal",
    service: "saga",
    startMs: acceptedMs(id),
    endMs: nowMs(),
    attributes: { instanceId: id, orderId, correlationId, state },
    ...(failure !== undefined && { error: failure }),
  });
}

/** Its id is a UUID of version 7: it begins with the time of its acceptance. */
function acceptedMs(id: string): number {
  return Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
}
