import { randomUUID } from "node:crypto";
import type { Flow } from "../load/flow.ts";
import { HttpConnection } from "../load/http-client.ts";
import { rowsOf } from "../load/order-rows.ts";
import type { RestateTarget } from "../load/protocol.ts";

/** Orders by Restate's ingress: the answer comes when the order's last step is done. */
export function createRestateFlow({ ingress, customerIds }: RestateTarget): Flow {
  const { hostname, port, host } = new URL(ingress);
  const connections: HttpConnection[] = [];
  let placed = 0;
  const connectionOf = (loop: number): HttpConnection => {
    const known = connections[loop];
    if (known?.usable) return known;
    const fresh = new HttpConnection(hostname, Number(port));
    connections[loop] = fresh;
    return fresh;
  };
  return {
    async place(basket) {
      const id = randomUUID();
      const body = JSON.stringify(rowsOf(id, customerIds[placed % customerIds.length] ?? "", basket));
      placed += 1;
      const { status, body: answer } = await connectionOf(basket.loop).send(
        `POST /order/create HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
          `Content-Length: ${body.length}\r\nIdempotency-Key: ${id}\r\n\r\n${body}`,
      );
      if (status !== 200) throw new Error(`${status} ${answer.slice(0, 300)}`);
      return { orderId: id };
    },
    polled: () => false,
    async close() {
      for (const connection of connections) connection?.close();
    },
  };
}
