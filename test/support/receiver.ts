import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Somebody who is told of orders (docs/notifications.md), takes most of it, and of every fourth order nothing. */
export interface Receiver {
  /** The settings of who tells. */
  readonly env: Readonly<Record<string, string>>;
  /** Tells whoever comes not to come again, until the answer is called. */
  leaves(): () => void;
  close(): Promise<void>;
}

const UNWANTED = /"orderId":"[0-9a-f-]{35}[0-3]"/;

export async function openReceiver(): Promise<Receiver> {
  let hasLeft = false;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const isUnwanted = UNWANTED.test(Buffer.concat(chunks).toString());
      response.writeHead(hasLeft ? 410 : isUnwanted ? 500 : 204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      NOTIFICATION_URL: `http://127.0.0.1:${port}/orders`,
      NOTIFICATION_SECRETS: "what the receiver of this test knows",
      NOTIFICATION_ALLOW_PRIVATE: "true",
      // What it does not take is tried once more, a second later.
      NOTIFICATION_ATTEMPTS_MAX: "2",
      NOTIFICATION_RETRY_MAX_SECONDS: "1",
    },
    leaves() {
      hasLeft = true;
      return () => {
        hasLeft = false;
      };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
