import type { Context, Middleware, ServiceBroker } from "moleculer";
import { type Config, ConfigError } from "../config.ts";
import { log } from "../logging.ts";
import { otlpBody } from "./otlp.ts";
import { createSpanSender, type SpanSender } from "./span-sender.ts";
import { formatTraceparent, parseTraceparent } from "./trace-context.ts";
import { currentScope, inSpan, type Scope, traceTo } from "./tracing.ts";
import { zipkinBody } from "./zipkin.ts";

/** What travels with a call to another node. */
interface TracedMeta {
  traceparent?: string;
  correlationId?: string;
}

type Handler = (ctx: Context<unknown, TracedMeta>) => Promise<unknown>;

const BODIES = { zipkin: zipkinBody, otlp: otlpBody };

/** Spans of actions, and of calls to other nodes; nothing at all unless TRACE_EXPORTER is set. @throws ConfigError */
export function traces(settings: Config): Middleware[] {
  const { TRACE_EXPORTER: exporter, TRACE_URL: url } = settings;
  if (exporter === "none") return [];
  if (url === undefined) throw new ConfigError("TRACE_URL", "set it, for TRACE_EXPORTER names an exporter");
  const headers = headersOf(settings);
  let sender: SpanSender | undefined;
  const middleware = {
    name: "Traces",
    created(broker: ServiceBroker) {
      sender = createSpanSender({
        url,
        body: BODIES[exporter],
        headers,
        onError: (problem, lost) => log(broker.logger, {}).warn("spans are late", { problem, lost }),
      });
      traceTo(sender.send);
    },
    async stopped() {
      traceTo(undefined);
      await sender?.stop();
    },
    localAction(next: Handler, { name = "an action" }: { readonly name?: string }) {
      // moleculer-web's own: the request that it stands for has a span already.
      if (name.endsWith(".rest")) return next;
      return function traced(this: unknown, ctx: Context<unknown, TracedMeta>) {
        const isRemote = ctx.nodeID !== ctx.broker.nodeID;
        const parents = isRemote ? scopeOf(ctx.meta) : currentScope();
        const handle = () => next.call(this, ctx);
        const service = ctx.service?.name ?? "none";
        return inSpan({ name, service, kind: isRemote ? "server" : "internal" }, handle, parents);
      };
    },
    remoteAction(next: Handler, { name = "an action" }: { readonly name?: string }) {
      return function traced(this: unknown, ctx: Context<unknown, TracedMeta>) {
        return inSpan({ name: `call ${name}`, kind: "client" }, () => {
          // One of those that a batch is for: an action knows of one caller.
          const [first] = currentScope() ?? [];
          if (first) ctx.meta.traceparent = formatTraceparent(first);
          return next.call(this, ctx);
        });
      };
    },
  };
  return [middleware as Middleware];
}

function scopeOf({ traceparent, correlationId }: TracedMeta): Scope | undefined {
  const parent = parseTraceparent(traceparent);
  if (!parent?.sampled) return undefined;
  const { traceId, spanId } = parent;
  return [{ traceId, spanId, service: "none", ...(correlationId !== undefined && { correlationId }) }];
}

/** name=value, comma-separated, as collectors ask for keys. @throws ConfigError */
function headersOf({ TRACE_HEADERS: given = "" }: Config): Record<string, string> {
  const pairs = given.split(",").filter((pair) => pair.trim() !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new ConfigError("TRACE_HEADERS", "it is not name=value, comma-separated");
      return [pair.slice(0, at).trim().toLowerCase(), pair.slice(at + 1).trim()];
    }),
  );
}
