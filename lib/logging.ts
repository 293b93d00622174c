import type { BrokerOptions, Context, Logger } from "moleculer";
import pino from "pino";
import type { Config } from "./config.ts";
import type { CallMeta } from "./define.ts";

/** What a line is about. Ids only: a log holds no personal data. */
export interface Subject {
  readonly correlationId?: string;
  readonly orderId?: string;
  readonly sagaId?: string;
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
const NEVER = ["authorization", "token", "password", "shippingAddress", "email"];

/** The `logger` of the broker: pino, one JSON object a line, or readable lines for people. */
export function loggerOptions(config: Config): BrokerOptions["logger"] {
  const options: pino.LoggerOptions = {
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
    serializers: { err: errorFields },
    redact: { paths: NEVER.flatMap((field) => [field, `*.${field}`]), censor: "[redacted]" },
  };
  if (config.LOG_FORMAT === "json") return { type: "Pino", options: { pino: { options } } };
  const pretty = {
    ignore: "nodeID,ns,svc,mod",
    messageFormat: "[{mod}] {msg}",
    translateTime: "SYS:HH:MM:ss.l",
  };
  const transport = { target: "pino-pretty", options: pretty };
  return { type: "Pino", options: { pino: { options: { ...options, transport } } } };
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
