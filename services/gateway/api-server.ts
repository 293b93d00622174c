import { createServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Config } from "../../lib/config.ts";
import { readPair } from "../../lib/tls.ts";

/** The server of the public API: https where TLS_CERT and TLS_KEY are set. @throws ConfigError */
export function createApiServer(config: Config, options: ServerOptions, receive: RequestListener): Server {
  const pair = readPair(config, "TLS_CERT", "TLS_KEY");
  return pair === undefined
    ? createServer(options, receive)
    : createSecureServer({ ...options, ...pair }, receive);
}
