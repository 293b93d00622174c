import { randomUUID } from "node:crypto";
import type { Basket, Flow, Placed } from "./flow.ts";
import { type HttpAnswer, HttpConnection, headerOf } from "./http-client.ts";
import type { ApiTarget } from "./protocol.ts";

/** Longer than the saga's own limits: what has not ended by then is an error. */
const WAIT_SECONDS = 10;
const WAITS_MAX = 6;
const POLL_MS = 5;

/** POST /orders with a fresh Idempotency-Key, then a long poll of its saga: what a client in a hurry would do. */
export function createApiFlow({ url, tokens }: ApiTarget): Flow {
  const { hostname, port, pathname } = new URL(url);
  const connections: HttpConnection[] = [];
  const run = randomUUID();
  let placed = 0;
  let polled = false;

  const connectionOf = (loop: number): HttpConnection => {
    const known = connections[loop];
    if (known?.usable) return known;
    const fresh = new HttpConnection(hostname, Number(port));
    connections[loop] = fresh;
    return fresh;
  };

  const headOf = (method: string, path: string, token: string) =>
    `${method} ${pathname}${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${token}\r\n`;

  const untilEnded = async (connection: HttpConnection, sagaId: string, orderId: string, token: string) => {
    const question = `${headOf("GET", `/orders/saga/${sagaId}`, token)}Prefer: wait=${WAIT_SECONDS}\r\n\r\n`;
    for (let wait = 0; wait < WAITS_MAX; wait += 1) {
      const answer = await connection.send(question);
      if (headerOf(answer.head, "preference-applied") === undefined) {
        polled = true;
        return pollStatus(connection, `${headOf("GET", `/orders/${orderId}/status`, token)}\r\n`);
      }
      const { state } = parsed(answer, 200);
      if (state === "COMPLETED") return;
      if (state === "COMPENSATED") throw new Error(`the saga ended as ${answer.body.slice(0, 300)}`);
    }
    throw new Error(`saga ${sagaId} has not ended after ${WAITS_MAX * WAIT_SECONDS} s`);
  };

  return {
    async place({ loop, first, second }: Basket): Promise<Placed> {
      const token = tokens[placed % tokens.length] ?? "";
      placed += 1;
      const body = `{"items":[{"productId":"${first}","quantity":1},{"productId":"${second}","quantity":2}]}`;
      const connection = connectionOf(loop);
      const before = performance.now();
      const answer = await connection.send(
        `${headOf("POST", "/orders", token)}Content-Type: application/json\r\n` +
          `Content-Length: ${body.length}\r\nIdempotency-Key: ${run}-${placed}\r\n\r\n${body}`,
      );
      const acceptMs = performance.now() - before;
      const { orderId, sagaId } = parsed(answer, 202);
      await untilEnded(connection, String(sagaId), String(orderId), token);
      return { orderId: String(orderId), acceptMs };
    },
    polled: () => polled,
    async close() {
      for (const connection of connections) connection?.close();
    },
  };
}

function parsed(answer: HttpAnswer, status: number): Record<string, unknown> {
  if (answer.status !== status) throw new Error(`${answer.status} ${answer.body.slice(0, 300)}`);
  return JSON.parse(answer.body) as Record<string, unknown>;
}

async function pollStatus(connection: HttpConnection, question: string): Promise<void> {
  const deadline = performance.now() + WAITS_MAX * WAIT_SECONDS * 1_000;
  while (performance.now() < deadline) {
    const { status } = parsed(await connection.send(question), 200);
    if (status === "created") return;
    if (status !== "draft") throw new Error(`the order ended as ${status}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error("the order has not ended");
}
