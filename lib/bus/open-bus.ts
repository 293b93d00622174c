import { type Config, databaseUrl } from "../config.ts";
import type { Bus } from "./bus.ts";
import type { BusLogger } from "./bus-logger.ts";
import { withFaultPoints } from "./fault-bus.ts";
import { createKafkaBus } from "./kafka-bus.ts";
import { kafkaSecurity } from "./kafka-security.ts";
import { createPostgresBus } from "./postgres-bus.ts";

export type { BusLogger } from "./bus-logger.ts";

export interface OpenBusOptions {
  readonly clientId?: string;
  readonly logger?: BusLogger;
}

/** The bus that the configuration asks for. A process opens one, and its services share it. */
export function openBus(config: Config, options: OpenBusOptions = {}): Bus {
  if (config.KAFKA_BROKERS !== undefined) {
    const brokers = config.KAFKA_BROKERS.split(",").map((broker) => broker.trim());
    return withFaultPoints(createKafkaBus({ brokers, security: kafkaSecurity(config), ...options }));
  }
  return withFaultPoints(
    createPostgresBus({ url: databaseUrl(config, "bus"), leaseMs: config.BUS_LEASE_MS, ...options }),
  );
}
