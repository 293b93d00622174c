import type { Agent } from "node:http";
import type { Person, Tokens } from "../../scripts/demo/tokens.ts";
import { assertKept } from "./contract.ts";
import { type HttpAnswer, http } from "./http.ts";

export interface ApiRequest {
  readonly method?: string;
  /** Whose token is sent; the customer's when left out. */
  readonly as?: Person;
  /** In place of that token's header; null sends none. */
  readonly authorization?: string | null;
  /** Idempotency-Key; a list sends the header that often. */
  readonly key?: string | readonly string[];
  /** On top of the usual ones, or, where undefined, without them. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: unknown;
  /** In place of the body as JSON. */
  readonly raw?: string | Buffer;
  readonly timeoutMs?: number;
  /** Of a stream of events only the head is waited for. */
  readonly endless?: boolean;
  /** Base address of another gateway than the system's own. */
  readonly at?: string;
}

export interface Api {
  readonly address: string;
  readonly tokens: Tokens;
  readonly agent: Agent;
}

/** Asks a gateway, and holds its answer against the contract. @throws Error there was no answer in time */
export async function askApi(api: Api, path: string, request: ApiRequest = {}): Promise<HttpAnswer> {
  const { as = "customer", key, body, raw, timeoutMs = 20_000, endless } = request;
  const authorization =
    request.authorization === undefined ? `Bearer ${api.tokens[as]}` : request.authorization;
  const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const headers = {
    ...(authorization !== null && { authorization }),
    ...(text !== undefined && { "content-type": "application/json" }),
    ...(key !== undefined && { "idempotency-key": key }),
    ...request.headers,
  };
  const method = request.method ?? (text === undefined ? "GET" : "POST");
  const sending = http(api.address + path, { method, headers, body: text, agent: api.agent, endless });
  const answer = await withDeadline(timeoutMs, path, sending);
  assertKept(method, path, answer);
  return answer;
}

async function withDeadline<Result>(timeMs: number, what: string, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${timeMs} ms`)), timeMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // Nobody waits for it any more when it was late.
    work.catch(() => undefined);
  }
}
