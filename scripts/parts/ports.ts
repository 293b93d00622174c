import { randomInt } from "node:crypto";
import { createServer } from "node:net";

export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
  readonly setting: string;
  readonly port: number;

  constructor(setting: string, port: number, reason = "is taken by another process") {
    super(`${setting}: port ${port} ${reason}; set ${setting} to another port or to 'auto'`);
    this.setting = setting;
    this.port = port;
  }
}

const firstPort = 15_000;
const lastPort = 32_767;
const attemptsMax = 200;

/** Handed out in this process: two parts that start at once must not be given one port before either binds it. */
const handedOut = new Set<number>();

/**
 * A free TCP port on 127.0.0.1, chosen below the kernel's range for outgoing connections (32768 on Linux, 49152 on
 * macOS). A port within that range can be lost while its server is down for a restart: a client that keeps
 * reconnecting may be given the very port as its own, connects to itself, and the server can no longer bind.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const port = randomInt(firstPort, lastPort + 1);
    if (handedOut.has(port)) continue;
    if ((await bindFailure(port)) === undefined) {
      handedOut.add(port);
      return port;
    }
  }
  throw new Error(
    `no free TCP port found on 127.0.0.1 in ${attemptsMax} tries between ${firstPort} and ${lastPort}`,
  );
}

/** The port to use for a setting: "auto" or 0 picks a free one, a given one is checked. */
export async function resolvePort(setting: string, value: number | "auto"): Promise<number> {
  if (value === "auto" || value === 0) return freePort();
  const failure = await bindFailure(value);
  if (failure === undefined) return value;
  if (failure === "EADDRINUSE") throw new PortTakenError(setting, value);
  throw new PortTakenError(setting, value, `cannot be used (${failure})`);
}

/** The error code of an attempt to listen on the port, or undefined when it worked. */
function bindFailure(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.unref();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.once("listening", () => server.close(() => resolve(undefined)));
    try {
      server.listen({ port, host: "127.0.0.1", exclusive: true });
    } catch (error) {
      resolve(error instanceof Error ? error.message : String(error));
    }
  });
}
