import { AsyncLocalStorage } from "node:async_hooks";
import { formatTraceparent, newSpanId, newTraceId, type SpanContext } from "./trace-context.ts";

/**
 * Spans of what this process does. Off unless TRACE_EXPORTER is set; then whoever passes a traced place pays for one
 * boolean. Only sampled work has a scope: what is not sampled costs one look at it.
 */

export type SpanKind = "internal" | "server" | "client" | "producer" | "consumer";
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** A span that has ended, as exporters get it. */
export interface SpanRecord extends SpanContext {
  readonly parentId?: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** The service whose work it is: several may share a process. */
  readonly service: string;
  /** Milliseconds since 1970, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly links?: readonly SpanContext[];
  /** What went wrong: a code, never a text that may hold data. */
  readonly error?: string;
}

/** One of those that the work in hand is done for. */
export interface Member extends SpanContext {
  /** The service whose work it is. */
  readonly service: string;
  /** By these the events that the work writes find the trace that they belong to. */
  readonly correlationId?: string;
  readonly causationId?: string;
}

/** Whom the work in hand is done for: one request, or all the sampled ones of a batch. Never empty. */
export type Scope = readonly Member[];

/** Read on hot paths: false means that nothing is traced. */
export const tracing = { on: false };

type Recorder = (span: SpanRecord) => void;
let record: Recorder = () => undefined;
const scopes = new AsyncLocalStorage<Scope | undefined>();

/** From now on spans go to `recorder`; without one, nothing is traced. */
export function traceTo(recorder: Recorder | undefined): void {
  tracing.on = recorder !== undefined;
  record = recorder ?? (() => undefined);
}

/** Whom the work in hand is done for; undefined when nobody among them is sampled. */
export const currentScope = (): Scope | undefined => (tracing.on ? scopes.getStore() : undefined);

/** Runs `work` for those; undefined keeps it out of the trace that it was woken by. */
export function inScope<Result>(scope: Scope | undefined, work: () => Result): Result {
  return tracing.on ? scopes.run(scope, work) : work();
}

export const nowMs = (): number => performance.timeOrigin + performance.now();

/** Records a span whose times are known. */
export function recordSpan(span: SpanRecord): void {
  if (tracing.on) record(span);
}

export interface SpanStart {
  readonly name: string;
  /** Left out: that of the span above. */
  readonly service?: string;
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
}

export interface SpanEnd {
  readonly name?: string;
  readonly attributes?: Attributes;
  readonly error?: unknown;
}

/** A span that has begun, once for each member of the scope it began in. */
export interface OpenSpan {
  readonly scope: Scope;
  /** Only the first end counts. */
  end(end?: SpanEnd): void;
}

interface Branch {
  readonly parent: Member;
  /** In place of the span's. */
  readonly name?: string | undefined;
  readonly links?: readonly SpanContext[];
}

/** Begins a span below each of these. */
export function openSpan(start: SpanStart, parents: Scope): OpenSpan {
  return open(
    start,
    parents.map((parent) => ({ parent })),
  );
}

function open(start: SpanStart, branches: readonly Branch[]): OpenSpan {
  const startMs = nowMs();
  const scope = branches.map(({ parent }) => ({
    ...parent,
    spanId: newSpanId(),
    service: start.service ?? parent.service,
  }));
  let isOpen = true;
  return {
    scope,
    end({ name = start.name, attributes, error } = {}) {
      if (!isOpen) return;
      isOpen = false;
      const common = {
        name,
        kind: start.kind ?? "internal",
        startMs,
        endMs: nowMs(),
        attributes: { ...start.attributes, ...attributes },
        ...(error !== undefined && { error: errorCode(error) }),
      };
      branches.forEach(({ parent, links, name = common.name }, index) => {
        const { traceId, spanId, service, correlationId } = scope[index] ?? parent;
        const ids = { traceId, spanId, service, ...(parent.spanId !== "" && { parentId: parent.spanId }) };
        const attributes = { ...common.attributes, correlationId };
        record({ ...common, ...ids, name, attributes, ...(links && { links }) });
      });
    },
  };
}

/** Begins a trace of its own: its span has no parent. */
export function openRoot(
  start: SpanStart & Pick<Member, "service" | "correlationId">,
  traceId: string,
  links?: readonly SpanContext[],
): OpenSpan {
  const { service, correlationId } = start;
  const parent = { traceId, spanId: "", service, ...(correlationId !== undefined && { correlationId }) };
  return open(start, [{ parent, ...(links && { links }) }]);
}

/** Runs `work` as a span below each of `parents`, the current scope unless others are given. */
export function inSpan<Result>(
  start: SpanStart,
  work: () => Promise<Result>,
  parents = currentScope(),
): Promise<Result> {
  return parents === undefined ? work() : ended(openSpan(start, parents), work);
}

async function ended<Result>(span: OpenSpan, work: () => Promise<Result>): Promise<Result> {
  try {
    const result = await scopes.run(span.scope, work);
    span.end();
    return result;
  } catch (error) {
    span.end({ error });
    throw error;
  }
}

export interface BatchItem {
  /** Whom this item is done for; undefined when it is not sampled. */
  readonly scope: Scope | undefined;
  /** What its span is called, where not as the batch. */
  readonly name?: string;
}

/**
 * Runs the work that many items share. Each sampled one gets a span in its own trace; the batch has a trace of its own,
 * and each points to the other.
 */
export function inBatch<Result>(
  start: SpanStart,
  items: readonly BatchItem[],
  work: () => Promise<Result>,
): Promise<Result> {
  const sampled = branchesOf(items);
  if (sampled.length === 0) return scopes.run(undefined, work);
  const attributes = { ...start.attributes, "batch.size": items.length, "batch.sampled": sampled.length };
  const batch: SpanContext = { traceId: newTraceId(), spanId: newSpanId() };
  const links = [batch];
  const span = open(
    { ...start, attributes },
    sampled.map((branch) => ({ ...branch, links })),
  );
  const startMs = nowMs();
  return ended(span, work).finally(() => {
    const service = span.scope[0]?.service ?? "none";
    const links = span.scope.map(({ traceId, spanId }) => ({ traceId, spanId }));
    const name = `batch ${start.name}`;
    record({ ...batch, name, kind: "internal", service, startMs, endMs: nowMs(), attributes, links });
  });
}

/** What a batch does inside another one is done for all of that one's members. */
function branchesOf(items: readonly BatchItem[]): readonly Branch[] {
  const found = new Map<string, Branch>();
  for (const { scope = [], name } of items)
    for (const parent of scope) found.set(parent.spanId, { parent, name });
  return [...found.values()];
}

interface Ids {
  readonly correlationId?: string | undefined;
  readonly causationId?: string | undefined;
}

/** What an event of these ids carries along, and an instance of that correlation id keeps. */
export function traceparentOf(ids: Ids): string | undefined {
  const member = memberOf(ids);
  return member && formatTraceparent(member);
}

/** The trace of what a log line is about; one that does not say is about the only one there is. */
export function traceIdOf(correlationId: string | undefined): string | undefined {
  const scope = currentScope();
  const isClear = correlationId === undefined && scope?.length === 1;
  return (isClear ? scope[0] : memberOf({ correlationId }))?.traceId;
}

/** The sampled member of the current scope that something with these ids belongs to. */
function memberOf({ correlationId, causationId }: Ids): Member | undefined {
  const scope = currentScope();
  if (scope === undefined) return undefined;
  const cause = causationId !== undefined && scope.find((member) => member.causationId === causationId);
  if (cause) return cause;
  return correlationId === undefined
    ? undefined
    : scope.find((member) => member.correlationId === correlationId);
}

function errorCode(error: unknown): string {
  const { type, code, name } = (error ?? {}) as Readonly<Record<string, unknown>>;
  return String(type ?? code ?? name ?? "ERROR").slice(0, 64);
}
