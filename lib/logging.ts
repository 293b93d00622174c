import type { BrokerOptions, Context, Logger } from "moleculer";
import pino from "pino";
import type { Config } from "./config.ts";
import type { CallMeta } from "./define.ts";
import { standardOutput } from "./log-output.ts";
import { traceIdOf } from "./tracing/tracing.ts";

/** What a line is about. Ids only: a log holds no personal data. */
export interface Subject {
  readonly correlationId?: string | undefined;
  readonly orderId?: string | undefined;
  readonly sagaId?: string | undefined;
}

/** More fields of one line; an error goes under `err`. */
export interface Details {
  readonly err?: unknown;
  readonly [field: string]: unknown;
}

/**
 * A logger whose every line carries what it is about:
 * `log(this.logger, ctx, { orderId }).info("order drafted")`, or, where there is no context, as in a batch of
 * events, `log(this.logger, { correlationId, orderId, sagaId }).warn("too late", { step })`.
 */
export function log(logger: Logger, about: Subject | Context<unknown, CallMeta>, more?: Subject): SubjectLog {
  const subject = "requestID" in about ? { correlationId: correlationOf(about) } : about;
  return new SubjectLog(logger, more === undefined ? subject : { ...subject, ...more });
}

function correlationOf(ctx: Context<unknown, CallMeta>): string | undefined {
  return ctx.meta.correlationId ?? ctx.requestID ?? undefined;
}

/** Methods on a prototype: making one costs two fields, so that a batch may make one for each of its items. */
export class SubjectLog {
  readonly #logger: Logger;
  readonly #subject: Subject;

  constructor(logger: Logger, subject: Subject) {
    this.#logger = logger;
    this.#subject = subject;
  }

  debug(message: string, details?: Details): void {
    this.#logger.debug({ ...this.#subject, ...details }, message);
  }

  info(message: string, details?: Details): void {
    this.#logger.info({ ...this.#subject, ...details }, message);
  }

  warn(message: string, details?: Details): void {
    this.#logger.warn({ ...this.#subject, ...details }, message);
  }

  error(message: string, details?: Details): void {
    this.#logger.error({ ...this.#subject, ...details }, message);
  }
}

/** Fields that could hold personal data or a secret, should somebody log the object they are in. */
const NEVER = new Set(["authorization", "token", "password", "shippingAddress", "email"]);
const CENSORED = "[redacted]";

/** One JSON object a line, or readable lines for people. */
export function pinoOptions(config: Config): pino.LoggerOptions {
  const options: pino.LoggerOptions = {
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }), log: censored },
    serializers: { err: errorFields },
    hooks: { logMethod: detailsFirst },
    ...(config.TRACE_EXPORTER !== "none" && { mixin: traceFields }),
  };
  if (config.LOG_FORMAT === "json") return options;
  const pretty = {
    ignore: "nodeID,ns,svc,mod",
    messageFormat: "[{mod}] {msg}",
    translateTime: "SYS:HH:MM:ss.l",
  };
  return { ...options, transport: { target: "pino-pretty", options: pretty } };
}

/** Of a line about something that is sampled: where its trace is found. */
function traceFields({ correlationId }: { readonly correlationId?: unknown }): { traceId?: string } {
  const traceId = traceIdOf(typeof correlationId === "string" ? correlationId : undefined);
  return traceId === undefined ? {} : { traceId };
}

/**
 * The fields of a line without what must never be in one, at its top and one level below. pino's own redaction copies
 * the whole line, whether or not it has such a field: 2 % of what a payment takes of Node.
 */
function censored(fields: Record<string, unknown>): Record<string, unknown> {
  let clean = fields;
  for (const [name, value] of Object.entries(fields)) {
    const instead = NEVER.has(name)
      ? CENSORED
      : isPlain(value) && hasForbidden(value)
        ? withoutThem(value)
        : value;
    if (instead !== value) clean = { ...clean, [name]: instead };
  }
  return clean;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !(value instanceof Error);
}

function hasForbidden(fields: object): boolean {
  return Object.keys(fields).some((name) => NEVER.has(name));
}

function withoutThem(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, NEVER.has(name) ? CENSORED : value]),
  );
}

/** Moleculer writes `("message", details)`; pino would drop the details, and with them the error or the correlation id. */
function detailsFirst(this: pino.Logger, args: Parameters<pino.LogFn>, method: pino.LogFn): void {
  const [first, second]: readonly unknown[] = args;
  if (typeof first !== "string" || typeof second !== "object" || second === null) method.apply(this, args);
  else method.call(this, second instanceof Error ? { err: second } : renamed(second), first);
}

/** Its request id is our correlation id; its `nodeID` is the node that was called, where ours is the one that writes. */
function renamed(details: { requestID?: unknown; nodeID?: unknown }): Record<string, unknown> {
  const { requestID: correlationId, nodeID: calledNodeID, ...more } = details;
  return { correlationId, calledNodeID, ...more };
}

/** The `logger` of a broker. */
export function loggerOptions(config: Config): BrokerOptions["logger"] {
  const destination = config.LOG_FORMAT === "json" ? standardOutput() : undefined;
  return { type: "Pino", options: { pino: { options: pinoOptions(config), destination } } };
}

/**
 * What a line tells of an error. A list of what goes in, not of what stays out: PostgreSQL puts values of the
 * row into `detail`, validators put the refused value into `data`.
 */
export function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const fields = error as Error & { code?: unknown; type?: unknown; retryable?: unknown };
  return {
    name: error.name,
    message: error.message,
    code: fields.code,
    type: fields.type,
    retryable: fields.retryable,
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: errorFields(error.cause) }),
  };
}
