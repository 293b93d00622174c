import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Middleware, ServiceBroker } from "moleculer";
import type { Config } from "./config.ts";
import { close, listen } from "./http-server.ts";
import { log } from "./logging.ts";
import { metricsOf } from "./metrics.ts";
import { assertNats, natsConnection } from "./nats-client.ts";
import { renderPrometheus } from "./prometheus.ts";
import { readinessOf } from "./readiness.ts";

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

type Page = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

const pages = new WeakMap<ServiceBroker, Map<string, Page>>();

/** Where services put more pages for the internal port, by their paths; each answers GET and HEAD by itself. */
export function internalPagesOf(broker: ServiceBroker): Map<string, Page> {
  const known = pages.get(broker) ?? new Map<string, Page>();
  pages.set(broker, known);
  return known;
}

/** Serves /metrics, /live and /ready of this process on INTERNAL_PORT, from before its services start until after they stopped. */
export function internalServer(config: Config): Middleware {
  let server: Server | undefined;
  return {
    name: "InternalServer",
    created(broker) {
      // Both exist from the start, whoever uses them first.
      metricsOf(broker);
      registerChecks(broker, config);
    },
    async starting(broker) {
      server = createServer((request, response) => void respond(broker, request, response));
      const { INTERNAL_PORT: port, HOST: host } = config;
      const real = await listen(broker, server, { setting: "INTERNAL_PORT", port, host });
      log(broker.logger, {}).info("serves /metrics, /live and /ready", { port: real });
    },
    async stopped() {
      if (server !== undefined) await close(server, 500);
    },
  };
}

function registerChecks(broker: ServiceBroker, config: Config): void {
  const readiness = readinessOf(broker);
  readiness.register("broker", async () => {
    if (broker.stopping) throw new Error("stopping");
    if (!broker.started) throw new Error("not started");
  });
  for (const name of config.SERVICES) {
    // Moleculer registers a service after its `started` hook; a runner that finds no service file only warns.
    readiness.register(`service.${name}`, async () => {
      if (!broker.registry.hasService(name, broker.nodeID)) throw new Error("not started");
    });
  }
  if (broker.options.transporter) readiness.register("nats", () => assertNats(broker));
}

async function respond(
  broker: ServiceBroker,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await answerOrShow(broker, request, response).catch((error: unknown) => {
    log(broker.logger, {}).error("the internal port failed", { err: error });
    return json(500, { error: "INTERNAL_ERROR" });
  });
  if (answer === undefined) return;
  response.writeHead(answer.status, {
    "content-type": answer.type,
    "content-length": Buffer.byteLength(answer.body),
    "cache-control": "no-store",
  });
  response.end(request.method === "HEAD" ? undefined : answer.body);
}

/** Nothing when a page has answered by itself. */
async function answerOrShow(
  broker: ServiceBroker,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Answer | undefined> {
  if (request.method !== "GET" && request.method !== "HEAD")
    return json(405, { error: "METHOD_NOT_ALLOWED" });
  const path = request.url?.split("?", 1)[0] ?? "";
  const page = internalPagesOf(broker).get(path);
  if (page === undefined) return answerTo(broker, path);
  await page(request, response);
  return undefined;
}

async function answerTo(broker: ServiceBroker, path: string): Promise<Answer> {
  switch (path) {
    case "/metrics":
      await metricsOf(broker).refresh();
      return {
        status: 200,
        type: "text/plain; version=0.0.4; charset=utf-8",
        body: renderPrometheus(broker.metrics),
      };
    case "/live":
      return liveness(broker);
    case "/ready":
      return readinessAnswer(broker);
    default:
      return json(404, { error: "NOT_FOUND" });
  }
}

/** That this answers at all is the check of the event loop; a NATS client closed for good needs a restart. */
function liveness(broker: ServiceBroker): Answer {
  const closed = natsConnection(broker)?.isClosed() === true && !broker.stopping;
  return json(closed ? 503 : 200, {
    live: !closed,
    ...(closed && { error: "the NATS connection is closed for good" }),
  });
}

async function readinessAnswer(broker: ServiceBroker): Promise<Answer> {
  const report = await readinessOf(broker).report();
  // Looked at last and never cached: traffic must leave at once when the process stops.
  const ready = report.ready && broker.started && !broker.stopping;
  return json(ready ? 200 : 503, { ready, checks: report.checks });
}

function json(status: number, body: object): Answer {
  return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(body)}\n` };
}
