import type { IncomingMessage, ServerResponse } from "node:http";
import type { CallingOptions, Context } from "moleculer";
import type { ApiSettingsSchema } from "moleculer-web";
import type { CallMeta } from "../../lib/define.ts";
import { send } from "./answers.ts";
import { ApiResponse } from "./api-response.ts";
import type { Route } from "./contract/route.ts";
import { correlationIdOf } from "./correlation.ts";
import { DOCUMENT_PATHS } from "./documents.ts";
import { ROUTES } from "./routes.ts";

/** What moleculer-web puts on a request. */
export interface WebRequest extends IncomingMessage {
  correlationId: string;
  /** Who asks, once that is known. */
  subject?: string;
  originalUrl?: string;
  readonly $ctx: Context<unknown, CallMeta>;
  readonly $alias?: { readonly path: string; readonly fullPath: string };
  readonly $params: {
    readonly params: Readonly<Record<string, string>>;
    readonly query: Readonly<Record<string, unknown>>;
  };
  readonly parsedUrl?: string;
  readonly $startTime: [number, number];
}

/** The service, as far as an alias needs it. */
interface Server {
  handleRequest(route: Route, request: WebRequest, response: ServerResponse): Promise<void>;
  handleDocument(path: string, request: WebRequest, response: ServerResponse): Promise<void>;
  readonly showsDocuments: boolean;
}

type Next = (error?: unknown) => void;

/**
 * Settings of moleculer-web. It gives the server's request the table of aliases, the root context of the calls
 * and the error path; reading bodies, checking and answering is ours, in the order that the API promises.
 */
export const webSettings: ApiSettingsSchema = {
  // Our own server: moleculer-web's neither names the setting when the port is taken, nor drains.
  server: false,
  logRequest: null,
  logRequestParams: null,
  logResponse: null,
  logRouteRegistration: null,
  routes: [
    {
      ...common("/api"),
      aliases: Object.fromEntries(ROUTES.map((route) => [aliasName(route), aliasOf(route)])),
    },
    {
      ...common("/"),
      aliases: {
        "GET /": index,
        ...Object.fromEntries(DOCUMENT_PATHS.map((path) => [`GET ${path}`, documentOf(path)])),
      },
    },
  ],
  // Settings travel to every node of the cluster; these are nobody else's.
  $secureSettings: ["routes", "rootCallOptions"],
};

// Typed as plain options; moleculer-web also takes a function, called for each request before anything else.
Object.assign(webSettings, { rootCallOptions: beginRequest });

/** Nothing beyond the aliases, nothing merged, and none of the optional parts. */
function common(path: string) {
  return {
    path,
    mappingPolicy: "restrict",
    mergeParams: false,
    bodyParsers: false,
    etag: false,
    logging: false,
  } as const;
}

function aliasName({ method, path }: Route): string {
  return `${method} ${path}`;
}

function aliasOf(route: Route) {
  return function alias(this: Server, request: WebRequest, response: ServerResponse, next: Next) {
    this.handleRequest(route, request, response).catch(next);
  };
}

function documentOf(path: string) {
  return function show(this: Server, request: WebRequest, response: ServerResponse, next: Next) {
    this.handleDocument(path, request, response).catch(next);
  };
}

/** From here on every call, log line and answer of the request carries its correlation id. */
function beginRequest(options: CallingOptions, request: WebRequest, response: ServerResponse): void {
  const id = correlationIdOf(request.headers["x-correlation-id"]);
  request.correlationId = id;
  options.requestID = id;
  options.meta = { correlationId: id };
  if (response instanceof ApiResponse) response.correlationId = id;
}

/** A request that is answered before moleculer-web has seen it. */
export function begun(request: IncomingMessage, response: ServerResponse): WebRequest {
  const begun = Object.assign(request, { $startTime: process.hrtime() }) as WebRequest;
  beginRequest({}, begun, response);
  return begun;
}

const NAME = { name: "holdfast" };
const INDEX = {
  ...NAME,
  docs: "/docs",
  openapi: "/openapi.json",
  asyncapi: "/asyncapi.json",
  api: ROUTES.map((route) => `${route.method} /api${route.path}`),
};

/** GET /: for whoever types the address into a browser. Where the documents are not shown, neither is what they say. */
function index(this: Server, _request: IncomingMessage, response: ServerResponse): void {
  send(response, { status: 200, body: JSON.stringify(this.showsDocuments ? INDEX : NAME) });
}
