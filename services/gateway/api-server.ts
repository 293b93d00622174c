import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Config } from "../../lib/config.ts";
import { readPair } from "../../lib/tls.ts";
import { ApiResponse } from "./api-response.ts";
import { refuseBroken } from "./broken-requests.ts";

/** The server of the public API: https where TLS_CERT and TLS_KEY are set. @throws ConfigError */
export function createApiServer(config: Config, receive: RequestListener): Server {
  const { HTTP_HEADERS_TIMEOUT_MS: headersTimeout, HTTP_REQUEST_TIMEOUT_MS: requestTimeout } = config;
  const options = {
    ServerResponse: ApiResponse,
    headersTimeout,
    requestTimeout,
    // How often Node looks for those who are too slow: its own 30 s would double the time that they have.
    connectionsCheckingInterval: Math.min(5_000, Math.ceil(Math.min(headersTimeout, requestTimeout) / 2)),
    // Idle connections stay for longer than the 60 s of common load balancers.
    keepAliveTimeout: 65_000,
    maxHeaderSize: 16_384,
  };
  const pair = readPair(config, "TLS_CERT", "TLS_KEY");
  const server =
    pair === undefined
      ? createServer(options, receive)
      : createSecureServer({ ...options, ...pair }, receive);
  return server.on("clientError", refuseBroken);
}
