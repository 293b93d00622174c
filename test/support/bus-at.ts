import type { Bus } from "../../lib/bus/bus.ts";
import { createKafkaBus } from "../../lib/bus/kafka-bus.ts";
import { createPostgresBus } from "../../lib/bus/postgres-bus.ts";

export interface BusAddress {
  readonly kind: Bus["kind"];
  /** URL of the database, or host:port of a broker. */
  readonly at: string;
}

/** A bus as a process of its own would open it. Kafka's session is the shortest that a broker allows by default. */
export function openBusAt({ kind, at }: BusAddress): Bus {
  if (kind === "postgres") return createPostgresBus({ url: at, clientId: "test" });
  return createKafkaBus({
    brokers: [at],
    clientId: "test",
    sessionTimeoutMs: 6_000,
    publishDeadlineMs: 5_000,
  });
}
