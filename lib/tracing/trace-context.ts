import { createHash, randomBytes } from "node:crypto";

/** W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace something belongs to, and below which span. */
export interface SpanContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 0x01;

export interface Traceparent extends SpanContext {
  readonly sampled: boolean;
}

/** Reads a `traceparent`; undefined when it is none. Versions after 00 may carry more, which is passed over. */
export function parseTraceparent(text: unknown): Traceparent | undefined {
  if (typeof text !== "string" || text.length > 256) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", more] = TRACEPARENT.exec(text) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/** The `traceparent` of a sampled span; those that are not sampled are not passed on. */
export function formatTraceparent({ traceId, spanId }: SpanContext): string {
  return `00-${traceId}-${spanId}-01`;
}

export const newTraceId = (): string => randomBytes(16).toString("hex");
export const newSpanId = (): string => randomBytes(8).toString("hex");

/**
 * The id of a span that several processes have to agree on without asking each other: of a saga that another node ends,
 * of a record that is published twice.
 */
export function derivedSpanId(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join(" ")).digest("hex").slice(0, 16);
}

/** Whether a new trace is among the share that is kept: by its id, so that everybody who asks decides alike. */
export function isChosen(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52;
}
