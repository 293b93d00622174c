import { randomUUID } from "node:crypto";
import { type HttpAnswer, HttpConnection, headerOf } from "./http-client.ts";
import type { ApiTarget } from "./protocol.ts";

/** Longer than any flow's own limits: what has not ended by then is an error. */
const WAIT_SECONDS = 10;
const WAITS_MAX = 6;

export type Json = Record<string, unknown>;

export interface Posted {
  readonly body: Json;
  /** It has been waited for, and has ended. */
  readonly ended: boolean;
}

export interface ApiClient {
  /** One of the tokens in turn. */
  nextToken(): string;
  /**
   * POST with a fresh Idempotency-Key, by the loop's own connection; with `wait` it prefers to wait for the end.
   * @throws when the answer is neither 202 nor, with `wait`, 200
   */
  post(loop: number, path: string, token: string, body: string, wait?: boolean): Promise<Posted>;
  /** @throws when the answer is not 200 */
  get(loop: number, path: string, token: string): Promise<Json>;
  /** Asks again and again, by long polls, until `ended` says so. @throws what `ended` throws, and after a minute */
  untilEnded(loop: number, path: string, token: string, ended: (body: Json) => boolean): Promise<void>;
  /** True when the gateway did not wait, so that an end was noticed by asking again at once. */
  polled(): boolean;
  close(): Promise<void>;
}

/** A client in a hurry, with a connection for each loop. */
export function createApiClient({ urls, tokens }: ApiTarget): ApiClient {
  const gateways = urls.map((url) => {
    const { hostname, port, host, pathname } = new URL(url);
    return { hostname, port: Number(port), host, pathname };
  });
  const gatewayOf = (loop: number) => {
    const gateway = gateways[loop % gateways.length];
    if (gateway === undefined) throw new Error("there is no gateway");
    return gateway;
  };
  const connections: HttpConnection[] = [];
  const run = randomUUID();
  let requests = 0;
  let tokensGiven = 0;
  let polled = false;

  const connectionOf = (loop: number): HttpConnection => {
    const known = connections[loop];
    if (known?.usable) return known;
    const { hostname, port } = gatewayOf(loop);
    const fresh = new HttpConnection(hostname, port);
    connections[loop] = fresh;
    return fresh;
  };
  const headOf = (loop: number, method: string, path: string, token: string) => {
    const { host, pathname } = gatewayOf(loop);
    return `${method} ${pathname}${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n`;
  };

  return {
    nextToken() {
      tokensGiven += 1;
      return tokens[tokensGiven % tokens.length] ?? "";
    },
    async post(loop, path, token, body, wait = false) {
      requests += 1;
      const answer = await connectionOf(loop).send(
        `${headOf(loop, "POST", path, token)}Content-Type: application/json\r\n` +
          `Content-Length: ${body.length}\r\nIdempotency-Key: ${run}-${requests}\r\n` +
          `${wait ? `Prefer: wait=${WAIT_SECONDS}\r\n` : ""}\r\n${body}`,
      );
      const ended = wait && answer.status === 200;
      return { body: parsed(answer, ended ? 200 : 202), ended };
    },
    async get(loop, path, token) {
      return parsed(await connectionOf(loop).send(`${headOf(loop, "GET", path, token)}\r\n`), 200);
    },
    async untilEnded(loop, path, token, ended) {
      const question = `${headOf(loop, "GET", path, token)}Prefer: wait=${WAIT_SECONDS}\r\n\r\n`;
      const deadline = performance.now() + WAITS_MAX * WAIT_SECONDS * 1_000;
      while (performance.now() < deadline) {
        const answer = await connectionOf(loop).send(question);
        if (ended(parsed(answer, 200))) return;
        polled ||= headerOf(answer.head, "preference-applied") === undefined;
      }
      throw new Error(`${path} has not ended after ${WAITS_MAX * WAIT_SECONDS} s`);
    },
    polled: () => polled,
    async close() {
      for (const connection of connections) connection?.close();
    },
  };
}

function parsed(answer: HttpAnswer, status: number): Json {
  if (answer.status !== status) throw new Error(`${answer.status} ${answer.body.slice(0, 300)}`);
  return JSON.parse(answer.body) as Json;
}
