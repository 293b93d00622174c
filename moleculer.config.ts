import { type BrokerOptions, ServiceBroker } from "moleculer";
import { closeBus } from "./lib/bus/broker-bus.ts";
import { callers } from "./lib/callers.middleware.ts";
import { type Config, config } from "./lib/config.ts";
import { checkConnections } from "./lib/connections.middleware.ts";
import { deadlines } from "./lib/deadline.ts";
import { drain } from "./lib/drain.ts";
import { faultInjection } from "./lib/fault-injection.middleware.ts";
import { armFaults } from "./lib/fault-points.ts";
import { internalServer } from "./lib/internal-server.middleware.ts";
import { loggerOptions } from "./lib/logging.ts";
import { natsOptions } from "./lib/nats-options.ts";
import { packetBundles, UNDERSTANDS_BUNDLES } from "./lib/packet-bundles.middleware.ts";
import { packetSeal } from "./lib/packet-seal.middleware.ts";
import { roundRobinAmong, SilentNodes, silentNodes } from "./lib/silent-nodes.ts";
import { traces } from "./lib/tracing/tracing.middleware.ts";

/** Moleculer knows the setting, its types do not. */
type TransitOptions = BrokerOptions["transit"] & { readonly serviceChangedDebounceTime: number };

/**
 * Others are told of a service when it has started, not up to a second after it has said that it is ready: where two
 * replicas were replaced one after the other, nobody knew of either for that second.
 */
const transit: TransitOptions = { serviceChangedDebounceTime: 0 };

/**
 * The options of a Moleculer broker, for our own start scripts and for Moleculer's runner
 * (`moleculer-runner -c moleculer.config.ts --mask '**\/*.service.ts' services`).
 */
export function brokerOptions(settings: Config): BrokerOptions {
  const silent = new SilentNodes();
  const options: BrokerOptions = {
    namespace: settings.NAMESPACE,
    nodeID: settings.NODE_ID ?? null,
    metadata: UNDERSTANDS_BUNDLES,
    logger: loggerOptions(settings),
    logLevel: settings.LOG_LEVEL,
    requestTimeout: settings.REQUEST_TIMEOUT_MS,
    // The engine retries from its row; a second layer would repeat what already happened.
    retryPolicy: { enabled: false },
    maxCallLevel: 20,
    heartbeatInterval: 2,
    heartbeatTimeout: 8,
    tracking: { enabled: true, shutdownTimeout: settings.SHUTDOWN_TIMEOUT_MS },
    registry: { preferLocal: true, stopDelay: 500, strategy: roundRobinAmong(silent) },
    transit,
    validator: true,
    metrics: { enabled: true, collectProcessMetrics: false },
    // Ours instead (docs/tracing.md): Moleculer's traces end at the first batch, row or record.
    tracing: false,
    internalMiddlewares: false,
    middlewares: [
      ...moleculersOwn(),
      checkConnections(settings),
      deadlines(),
      drain(),
      closeBus,
      internalServer(settings),
      callers(),
      faultInjection(settings),
      silentNodes(silent),
      ...traces(settings),
      ...packetSeal(settings),
      packetBundles(),
    ],
  };
  // The runner would put the text of the environment's TRANSPORTER in its place and lose our settings: read-only.
  const transporter = transport(settings);
  return Object.defineProperty(options, "transporter", {
    enumerable: true,
    get: () => transporter,
    set() {},
  });
}

/**
 * Moleculer's own middlewares but for two things. Metrics counts each call with all its labels: 42 us of CPU for a
 * request through the gateway (78 instead of 36), for figures that nobody asked for; the registry alone costs nothing.
 * ContextTracker stands inside Timeout, so that each call whose answer was lost in an outage of NATS is waited for at
 * the stop, for all of the time there is, and slows every later call; outermost it ends with the call's timeout.
 */
function moleculersOwn(): string[] {
  const others = ServiceBroker.INTERNAL_MIDDLEWARES.filter(
    (name) => name !== "Metrics" && name !== "ContextTracker",
  );
  return [...others, "ContextTracker"];
}

/**
 * nats.js notices a half-open connection by its pings alone, after minutes by default, and gives up for good
 * when its password is changed under it.
 */
function transport(settings: Config): BrokerOptions["transporter"] {
  if (settings.TRANSPORTER === undefined) return null;
  const options = {
    // Not as URLs: of those Moleculer hands nats.js the hosts alone, and a user as it is written, escapes and all.
    ...natsOptions(settings),
    pingInterval: 5_000,
    maxPingOut: 2,
    reconnectTimeWait: 250,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
  };
  return { type: "NATS", options };
}

const { FAULT_POINTS, FAULT_POINTS_LOG: log, FAULT_POINTS_GATE: gate } = config();
armFaults(FAULT_POINTS, { log, gate });
export default brokerOptions(config());
