import type { Middleware, ServiceBroker } from "moleculer";
import { log } from "./logging.ts";
import { Bundler, type Send, unbundled } from "./packet-bundles.ts";

/** What a node says of itself, so that nodes of an earlier version are sent single packets. */
export const UNDERSTANDS_BUNDLES = { bundles: 1 } as const;

/** Calls and their answers; what keeps a cluster together is rare and goes as it is. */
const BUNDLED: ReadonlySet<string> = new Set(["REQ", "RES"]);

interface Meta {
  readonly packet: { readonly type: string; readonly target?: string | null };
}

type Receive = (type: string, data: Buffer, socket: unknown) => unknown;

/** Lets packets to one node travel together (packet-bundles.ts). Stands after the seal in the list: it is nearer to us. */
export function packetBundles(): Middleware {
  let broker: ServiceBroker;
  const understands = (target: string | null | undefined): boolean =>
    target != null && broker.registry.nodes.get(target)?.metadata?.bundles === UNDERSTANDS_BUNDLES.bundles;
  const middleware: Middleware = {
    name: "PacketBundles",
    created(created) {
      broker = created;
    },
  };
  // Typed as if they answered what the wrapped function answers; they answer the function.
  return Object.assign(middleware, {
    transporterSend(next: Send<Meta>): Send<Meta> {
      const bundler = new Bundler(next);
      return (topic, data, meta) => {
        const { type, target } = meta.packet;
        if (BUNDLED.has(type) && understands(target)) return bundler.add(topic, data, meta);
        return next(topic, data, meta);
      };
    },
    transporterReceive:
      (next: Receive): Receive =>
      (type, data, socket) => {
        for (const packet of packetsOf(type, data)) next(type, packet, socket);
      },
  });

  function packetsOf(type: string, data: Buffer): readonly Buffer[] {
    try {
      return unbundled(data);
    } catch (error) {
      log(broker.logger, {}).warn("a bundle of packets cannot be read", { type, error });
      return [];
    }
  }
}
