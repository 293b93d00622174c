import type { IncomingMessage, Server, ServerResponse } from "node:http";
import ApiGateway from "moleculer-web";
import { type Config, config } from "../../lib/config.ts";
import { defineService } from "../../lib/define.ts";
import { drainFirst } from "../../lib/drain.ts";
import { close, listen } from "../../lib/http-server.ts";
import { log } from "../../lib/logging.ts";
import { type Metrics, metricsOf } from "../../lib/metrics.ts";
import { type Answer, send } from "./answers.ts";
import { createApiServer } from "./api-server.ts";
import { authentication } from "./authentication.mixin.ts";
import { answerOf } from "./conditional.ts";
import type { Route } from "./contract/route.ts";
import { documents } from "./documents.mixin.ts";
import { problemOf } from "./errors.ts";
import { personalData } from "./personal-data.mixin.ts";
import { protection } from "./protection.mixin.ts";
import { parseQueryString } from "./query.ts";
import { refusalTrail } from "./refusal-trail.mixin.ts";
import { MethodNotAllowedError, RouteNotFoundError } from "./refusals.ts";
import { replyTo } from "./reply.ts";
import { type TraceRequest, traceRequests } from "./request-trace.ts";
import { streaming } from "./streaming.mixin.ts";
import { begun, type WebRequest, webSettings } from "./web.ts";

interface Alias {
  readonly method: string;
  readonly re: RegExp;
  toString: () => string;
}

interface State {
  server: Server;
  metrics: Metrics;
  traced: TraceRequest;
  /** Of moleculer-web. */
  readonly httpHandler: (request: object, response: ServerResponse) => Promise<void>;
  readonly aliases: readonly Alias[];
}

/** The public API on PORT: who may ask for what, in which form, and how it is answered. No business rule lives here. */
export const gatewayService = (settings: Config) =>
  defineService<State>()({
    name: "gateway",
    mixins: [
      personalData(settings),
      refusalTrail(settings),
      authentication(settings),
      protection(settings),
      streaming(settings),
      documents(settings),
      ApiGateway,
    ],
    settings: webSettings,
    methods: {
      /** Answers one request, in the order that the API promises: 401, 429, 415/413/400, 403, 422, 400 of the key, the call. */
      async handleRequest(route: Route, request: WebRequest, response: ServerResponse): Promise<void> {
        // moleculer-web takes an OPTIONS for the method that it asks about.
        if (request.method !== route.method) throw new MethodNotAllowedError([route.method]);
        const reply = await replyTo(this, route, request, response);
        if (reply.follow) this.follow(request, response, reply.follow);
        else this.answer(request, response, answerOf(route, request, reply));
      },

      answer(request: WebRequest, response: ServerResponse, answer: Answer, contentType?: string): void {
        // While we drain, a kept-alive connection ends with the answer in hand.
        if (!this.server.listening) response.shouldKeepAlive = false;
        send(response, answer, contentType);
        const [seconds, nanoseconds] = process.hrtime(request.$startTime);
        this.metrics.httpAnswered(request.$alias?.path ?? "none", answer.status, seconds + nanoseconds / 1e9);
      },

      parseQueryString,

      /** Where moleculer-web brings every error of a request. */
      errorHandler(request: WebRequest, response: ServerResponse, error: unknown): void {
        const { correlationId, method } = request;
        const path = (request.originalUrl ?? request.url ?? "").split("?", 1)[0] ?? "";
        const { problem, headers } = problemOf(error, path, correlationId);
        this.noteRefusal(request, problem.status, error);
        const lines = log(this.logger, { correlationId });
        if (problem.status === 401) this.admission.badToken(request);
        if (problem.status === 500) lines.error("a request failed", { method, path, err: error });
        else if (problem.status > 500)
          lines.warn("a request could not be served", { method, path, code: problem.code });
        const answer = { status: problem.status, headers, body: JSON.stringify(problem) };
        this.answer(request, response, answer, "application/problem+json; charset=utf-8");
      },

      /** Where moleculer-web brings what fits no alias. */
      send404(request: WebRequest, response: ServerResponse): void {
        this.errorHandler(request, response, refusalAt(request.parsedUrl ?? "", this.aliases));
      },

      /** From the HTTP server to moleculer-web, which answers by the alias' handler or by one of the two above. */
      receive(request: IncomingMessage, response: ServerResponse): void {
        this.transport.set(request, response);
        const refusal = this.admission.address(request);
        if (refusal) this.errorHandler(begun(request, response), response, refusal);
        else if (!this.transport.answersPreflight(request, response))
          this.traced(request, response, () => this.route(request, response));
      },

      route(request: IncomingMessage, response: ServerResponse): void {
        this.httpHandler(request, response).catch((err: unknown) => {
          log(this.logger, {}).error("a request could not be answered", { err });
          response.destroy();
        });
      },

      /** Half of the time that there is: the engine behind it has to finish too. */
      async drainRequests(): Promise<void> {
        await close(this.server, settings.SHUTDOWN_TIMEOUT_MS / 2);
      },
    },
    // Whoever reaches the cluster's bus could add a route that skips all checks.
    actions: { listAliases: false, addRoute: false, removeRoute: false },
    created() {
      this.metrics = metricsOf(this.broker);
      this.traced = traceRequests(settings);
      // moleculer-web describes the alias in colour for a debug line of each request, logged or not: 3 % of it all.
      for (const alias of this.aliases) alias.toString = () => alias.method;
      this.server = createApiServer(settings, (request, response) => this.receive(request, response));
      drainFirst(this.broker, "gateway", () => this.drainRequests(), "intake");
    },
    async started() {
      const { PORT: port, HOST: host } = settings;
      const real = await listen(this.broker, this.server, { setting: "PORT", port, host });
      log(this.logger, {}).info("serves the API", { host, port: real });
      await this.learnRevocations();
    },
    async stopped() {
      await this.drainRequests();
    },
  });

function refusalAt(path: string, aliases: readonly Alias[]): Error {
  const allowed = aliases.filter((alias) => alias.re.test(path)).map((alias) => alias.method);
  return allowed.length > 0 ? new MethodNotAllowedError(allowed) : new RouteNotFoundError();
}

export default gatewayService(config());
