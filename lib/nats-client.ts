import type { ServiceBroker } from "moleculer";

/** What we need of the nats package's connection. */
interface NatsConnection {
  /** A real round trip: resolves when the server has answered. */
  flush(): Promise<void>;
  /** Closed for good: it never reconnects. */
  isClosed(): boolean;
}

/** The broker's connection to NATS; undefined without a transporter, or before it has connected. */
export function natsConnection(broker: ServiceBroker): NatsConnection | undefined {
  const transporter = broker.transit?.tx;
  if (transporter === undefined) return undefined;
  const client: NatsConnection | null | undefined = Reflect.get(transporter, "client");
  return client ?? undefined;
}

/** Moleculer's own `transit.connected` stays true through an outage. @throws Error when NATS does not answer */
export async function assertNats(broker: ServiceBroker): Promise<void> {
  const connection = natsConnection(broker);
  if (connection === undefined) throw new Error("not connected to NATS yet");
  await connection.flush();
}
