import type { Server } from "node:http";
import type { ServiceBroker } from "moleculer";
import { ConfigError } from "./config.ts";
import { log } from "./logging.ts";

export type PortSetting = "PORT" | "INTERNAL_PORT";

/** The ports that a broker's servers really got; a setting may be `auto`. */
const ports = new WeakMap<ServiceBroker, Map<PortSetting, number>>();

/** The real port behind a setting, once its server listens. */
export function portOf(broker: ServiceBroker, setting: PortSetting): number | undefined {
  return ports.get(broker)?.get(setting);
}

export interface ListenOptions {
  readonly setting: PortSetting;
  readonly port: number | "auto";
  readonly host: string;
}

/** Starts to listen and notes the real port. @throws ConfigError when the port cannot be had */
export async function listen(broker: ServiceBroker, server: Server, options: ListenOptions): Promise<number> {
  const { setting, port, host } = options;
  await new Promise<void>((resolve, reject) => {
    const onRefused = (error: NodeJS.ErrnoException) => reject(refused(options, error));
    server.once("error", onRefused);
    server.listen(port === "auto" ? 0 : port, host, () => {
      server.off("error", onRefused);
      resolve();
    });
  });
  // Later ones are passing failures to accept a connection (out of file descriptors): unheard they end the process.
  server.on("error", (err) =>
    log(broker.logger, {}).error("a connection could not be taken", { setting, err }),
  );
  const address = server.address();
  const real = typeof address === "object" && address !== null ? address.port : 0;
  const known = ports.get(broker) ?? new Map<PortSetting, number>();
  ports.set(broker, known.set(setting, real));
  return real;
}

function refused({ setting, port, host }: ListenOptions, error: NodeJS.ErrnoException): ConfigError {
  const reason =
    error.code === "EADDRINUSE" ? "is taken by another process" : `cannot be used (${error.code})`;
  const refusal = new ConfigError(setting, `port ${port} on ${host} ${reason}; set another port, or auto`);
  // The message says all; Moleculer's runner prints the stack, and this is nobody's bug.
  refusal.stack = `${refusal.name}: ${refusal.message}`;
  return refusal;
}

/**
 * Stops accepting, lets the requests in hand finish, and cuts those that take longer than `waitMs`.
 * Idempotent. A kept-alive connection ends with the answer in hand when its writer sees that nothing listens any more.
 */
export async function close(server: Server, waitMs: number): Promise<void> {
  if (!server.listening) return;
  const timer = setTimeout(() => server.closeAllConnections(), waitMs);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearTimeout(timer);
}
