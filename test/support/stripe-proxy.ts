import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

/**
 * What Stripe has and localstripe lacks: a request under an Idempotency-Key is carried out once and its answer
 * kept, refusals too. And what tests need: answers that are lost on their way, and a count of what arrived.
 */
export interface StripeProxy {
  readonly url: string;
  /** Requests that were carried out, as "POST /v1/payment_intents". */
  readonly carriedOut: string[];
  /** The next request whose path matches: its effect happens, its answer is lost. */
  loseAnswer(path: RegExp): void;
  /** The next request whose path matches never arrives. */
  loseRequest(path: RegExp): void;
  stop(): Promise<void>;
}

/** Stripe's client repeats a request by itself once, when its connection breaks: both are lost. */
function takeOne(lost: RegExp[], path: string): boolean {
  const at = lost.findIndex((one) => one.test(path));
  if (at >= 0) lost.splice(at, 1);
  return at >= 0;
}

interface Kept {
  readonly status: number;
  readonly body: string;
}

// Of a newer API than localstripe's, which refuses what it does not know.
const NEWER = /^(allowed_payment_method_types|error_on_requires_action)/;

export async function startStripeProxy(upstream: string): Promise<StripeProxy> {
  const kept = new Map<string, Promise<Kept>>();
  const carriedOut: string[] = [];
  const lostAnswers: RegExp[] = [];
  const lostRequests: RegExp[] = [];

  const carryOut = async (request: IncomingMessage, body: string): Promise<Kept> => {
    carriedOut.push(`${request.method} ${request.url}`);
    const form = new URLSearchParams(body);
    for (const name of [...form.keys()]) if (NEWER.test(name)) form.delete(name);
    const response = await fetch(upstream + request.url, {
      method: request.method,
      headers: {
        authorization: request.headers.authorization ?? "",
        "content-type": "application/x-www-form-urlencoded",
      },
      ...(request.method === "POST" && { body: form.toString() }),
    });
    return { status: response.status, body: await response.text() };
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const path = request.url ?? "";
    const isPost = request.method === "POST";
    if (isPost && takeOne(lostRequests, path)) {
      response.destroy();
      return;
    }
    const key = request.headers["idempotency-key"];
    const body = Buffer.concat(chunks).toString();
    const id = `${request.method} ${path} ${String(key)}`;
    const running = (typeof key === "string" && kept.get(id)) || carryOut(request, body);
    if (typeof key === "string") kept.set(id, running);
    const result = await running;
    if (isPost && takeOne(lostAnswers, path)) {
      response.destroy();
      return;
    }
    response.writeHead(result.status, { "content-type": "application/json" }).end(result.body);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(502).end(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the proxy has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    carriedOut,
    loseAnswer: (path) => lostAnswers.push(path, path),
    loseRequest: (path) => lostRequests.push(path, path),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
