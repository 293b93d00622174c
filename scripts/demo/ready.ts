import { randomUUID } from "node:crypto";
import { PartFailedError } from "../parts/part.ts";
import { waitFor } from "../parts/process.ts";
import type { Tokens } from "./tokens.ts";

const readyMsMax = 60_000;

/** Waits until the answer to each of these requests is one that we want. @throws PartFailedError says what it was */
async function waitForAnswer(
  url: string,
  isWanted: (status: number) => boolean,
  token?: string,
): Promise<void> {
  let last = "no answer";
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const isReady = async () => {
    try {
      const answer = await fetch(url, { headers, signal: AbortSignal.timeout(2_000) });
      last = `${answer.status} ${await answer.text()}`;
      return isWanted(answer.status);
    } catch {
      return false;
    }
  };
  if (await waitFor(isReady, readyMsMax, 25)) return;
  throw new PartFailedError(
    "services",
    `not ready after ${readyMsMax / 1000} s; ${url} says: ${last.trim()}`,
  );
}

/** Every process says that it is ready. */
export async function waitUntilReady(host: string, ports: readonly string[]): Promise<void> {
  const wait = (port: string) => waitForAnswer(`http://${host}:${port}/ready`, (status) => status === 200);
  await Promise.all(ports.map(wait));
}

/**
 * The gateway reaches the services behind it. Processes hear of each other a moment after each is ready by
 * itself, and until then the first pasted line would be refused.
 */
export async function waitUntilReached(api: string, tokens: Tokens): Promise<void> {
  const paths = ["/products?limit=1", "/orders?limit=1", `/orders/saga/${randomUUID()}`];
  const wait = (path: string) => waitForAnswer(`${api}${path}`, (status) => status < 500, tokens.staff);
  await Promise.all(paths.map(wait));
}
