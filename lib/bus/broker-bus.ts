import type { Middleware, ServiceBroker } from "moleculer";
import { config } from "../config.ts";
import type { Bus } from "./bus.ts";
import { openBus } from "./open-bus.ts";

const buses = new WeakMap<ServiceBroker, Bus>();

/** The one bus of a process, opened when first asked for. */
export function busOf(broker: ServiceBroker): Bus {
  const open = buses.get(broker);
  if (open) return open;
  const bus = openBus(config(), { clientId: broker.nodeID, logger: broker.getLogger("bus") });
  buses.set(broker, bus);
  return bus;
}

/** Closes the bus once all services, and so all relays and consumers, have stopped. */
export const closeBus: Middleware = {
  name: "CloseBus",
  async stopped(broker: ServiceBroker) {
    await buses.get(broker)?.close();
    buses.delete(broker);
  },
};
