import { existsSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ServiceBroker, type ServiceSchema } from "moleculer";
import { ConfigError, config } from "../lib/config.ts";
import { SERVICE_NAMES, type ServiceName } from "../lib/settings.ts";
import { configOrExit } from "./exit.ts";
import { type Lifecycle, runLifecycle } from "./lifecycle.ts";

export interface RunningServices {
  readonly broker: ServiceBroker;
  /** Drains and stops. Idempotent. */
  stop(): Promise<void>;
}

const urlOf = (name: ServiceName) => new URL(`../services/${name}/${name}.service.ts`, import.meta.url);

/** The services that this release has. */
export const existingServices = () => SERVICE_NAMES.filter((name) => existsSync(urlOf(name)));

/**
 * Runs these services in this process, on one broker. Whatever reads the configuration is imported here and
 * not before, so that a caller may set the environment first.
 * @throws ConfigError a service does not exist, or lacks a setting
 */
export async function startServices(names: readonly ServiceName[]): Promise<RunningServices> {
  const missing = names.filter((name) => !existsSync(urlOf(name)));
  if (missing.length > 0)
    throw new ConfigError("SERVICES", `this release has no service ${missing.join(", ")}`);
  const { default: options } = await import("../moleculer.config.ts");
  // Signals are handled by whoever runs us, who may have more to stop than a broker.
  const broker = new ServiceBroker({ ...options, skipProcessEventRegistration: true });
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= broker.stop();
    return stopping;
  };
  try {
    for (const name of names) {
      const { default: schema }: { default: ServiceSchema } = await import(urlOf(name).href);
      broker.createService(schema);
    }
    await broker.start();
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
  return { broker, stop };
}

async function serve(lifecycle: Lifecycle): Promise<void> {
  const startedAt = performance.now();
  // Readiness asks for every service of the setting; without one that is all there are.
  process.env.SERVICES ||= existingServices().join(",");
  const { SERVICES } = config();
  const services = await startServices(SERVICES);
  lifecycle.defer(services.stop);
  const { logger, nodeID } = services.broker;
  lifecycle.onCrash((error) => logger.fatal("unexpected error, the process ends", error));
  const ms = Math.round(performance.now() - startedAt);
  logger.info(`ready: ${SERVICES.join(", ")} as ${nodeID} after ${ms} ms`);
  process.send?.({ ready: true });
}

// import.meta.main is missing in the older ones of the Node versions that we support.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  // Started by npm run stack: its death must not leave us on the ports that its next start needs.
  // Not by exit(): whoever read our log is gone, and pino's last flush into that pipe would be tried again for ever.
  process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
  // The broker's own drain has the configured time; what is left is for closing pools and sockets.
  const stopTimeoutMs = configOrExit("serve").SHUTDOWN_TIMEOUT_MS + 5_000;
  void runLifecycle({ program: "serve", start: serve, stopTimeoutMs });
}
