import type { Middleware, ServiceBroker } from "moleculer";
import { type Config, ConfigError } from "./config.ts";
import { log } from "./logging.ts";
import { metricsOf } from "./metrics.ts";
import { createSeal, type PacketRefusal, type PacketSeal, WINDOW_MS } from "./packet-seal.ts";

/** A stranger who sends a thousand packets a second gets a line every so often, and is counted. */
const LOGGED_EVERY_MS = 10_000;

const PROBLEMS: Readonly<Record<PacketRefusal, string>> = {
  "too short": "it is not sealed",
  seal: "its sender does not know our CLUSTER_SECRETS",
  time: `it is older than ${WINDOW_MS / 1_000} s, or the clocks of our nodes differ`,
};

/**
 * Seals what this node sends over the transporter, and drops what no node of this cluster has sealed. Between services
 * of one process there is nothing to seal. An empty list, in demo mode only, leaves packets open.
 * Measured: calls of an empty action on another node over NATS, 50 at once, with the seal / without it: 0.87 to 0.94
 * (5 us more in each of the two processes); createHmac in its place: 0.6.
 * @throws ConfigError a transporter, and no secret
 */
export function packetSeal({ TRANSPORTER, CLUSTER_SECRETS, NAMESPACE, DEMO }: Config): Middleware[] {
  if (TRANSPORTER !== undefined && CLUSTER_SECRETS === undefined && !DEMO) {
    throw new ConfigError(
      "CLUSTER_SECRETS",
      "set it: without a secret whoever reaches NATS could call every action",
    );
  }
  if (CLUSTER_SECRETS === undefined) return [];
  let broker: ServiceBroker;
  let loggedAt = Number.NEGATIVE_INFINITY;
  const refuse = (type: string, refusal: PacketRefusal): void => {
    metricsOf(broker).packetRefused(refusal);
    if (performance.now() - loggedAt < LOGGED_EVERY_MS) return;
    loggedAt = performance.now();
    log(broker.logger, {}).warn("a packet was refused", { type, problem: PROBLEMS[refusal] });
  };
  const middleware: Middleware = {
    name: "PacketSeal",
    created(created) {
      broker = created;
      metricsOf(broker).begin(
        "holdfast_packets_refused_total",
        Object.keys(PROBLEMS).map((reason) => ({ reason })),
      );
    },
  };
  // Typed as if they answered what the wrapped function answers; they answer the function.
  return [Object.assign(middleware, sealing(createSeal(CLUSTER_SECRETS, NAMESPACE), refuse))];
}

type Send = (topic: string, data: Buffer, meta: { readonly packet: { readonly type: string } }) => unknown;
type Receive = (type: string, data: Buffer, socket: unknown) => unknown;

function sealing(seal: PacketSeal, refuse: (type: string, refusal: PacketRefusal) => void) {
  return {
    transporterSend:
      (next: Send): Send =>
      (topic, data, meta) =>
        next(topic, seal.seal(meta.packet.type, data), meta),
    transporterReceive:
      (next: Receive): Receive =>
      (type, sealed, socket) => {
        const data = seal.open(type, sealed);
        return typeof data === "string" ? refuse(type, data) : next(type, data, socket);
      },
  };
}
