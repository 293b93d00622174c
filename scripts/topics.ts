import { openBus } from "../lib/bus/open-bus.ts";
import type { Config } from "../lib/config.ts";
import { TOPICS } from "../lib/events.ts";

/** Creates the topics that are missing on the bus of this configuration: brokers must not make them up themselves. */
export async function ensureTopics(config: Config): Promise<void> {
  const bus = openBus(config);
  try {
    await bus.ensureTopics(Object.values(TOPICS));
  } finally {
    await bus.close();
  }
}
