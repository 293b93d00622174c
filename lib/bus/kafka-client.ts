import { createRequire } from "node:module";
import { connect, isIP, Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Kafka, type KafkaConfig, type LogEntry, logLevel } from "kafkajs";
import type { TlsFiles } from "../tls.ts";
import { BusUnavailableError } from "./bus.ts";
import type { BusLogger } from "./bus-logger.ts";
import type { KafkaSecurity } from "./kafka-security.ts";

export interface KafkaAddress {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly logger: BusLogger;
  readonly security?: KafkaSecurity;
}

export interface KafkaConnection extends KafkaAddress {
  readonly remains: Remains;
}

/** What kafkajs still does in clients that were given up: retry loops that have to run out. */
export class Remains {
  readonly #works = new Set<Promise<void>>();

  add(work: Promise<unknown>): void {
    const settled = work.then(
      () => undefined,
      () => undefined,
    );
    this.#works.add(settled);
    void settled.then(() => this.#works.delete(settled));
  }

  /** Waits until they are over, and not for ever. */
  async settle(timeMs: number): Promise<void> {
    await within(timeMs, "ending what was given up", Promise.all(this.#works)).catch(() => undefined);
  }
}

/** A client of kafkajs whose connections can be taken away for good. */
export interface KafkaClient {
  readonly kafka: Kafka;
  /** Cuts all connections and refuses new ones. */
  sever(): void;
}

/**
 * Each producer, consumer and admin gets a client of its own. kafkajs goes on after disconnect(): its retry loops
 * connect again and send what the caller has long given up. Without sockets they end, whatever they believe.
 */
export function createKafkaClient({ brokers, clientId, logger, security = {} }: KafkaAddress): KafkaClient {
  repairTimers();
  const sockets = new Set<Socket>();
  let severed = false;
  const kafka = new Kafka({
    clientId,
    brokers: [...brokers],
    connectionTimeout: 3_000,
    requestTimeout: 10_000,
    // Each layer of kafkajs retries inside the other; whole recoveries are ours, with a new client.
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 5 },
    sasl: security.sasl,
    ssl: security.tls !== undefined,
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => report(logger, entry),
    socketFactory: ({ host, port, onConnect }) => {
      if (severed) return refusingSocket();
      const socket = openSocket({ host, port, tls: security.tls }, onConnect);
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      return socket;
    },
  } satisfies KafkaConfig);
  return {
    kafka,
    sever() {
      severed = true;
      // With an error, for kafkajs does not notice a socket that merely closes, and would wait for its answers.
      for (const socket of sockets) socket.destroy(givenUp());
    },
  };
}

interface SocketAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsFiles | undefined;
}

function openSocket({ host, port, tls }: SocketAddress, onConnect: () => void): Socket {
  const options = { host, port, keepAlive: true, noDelay: true };
  if (tls === undefined) return connect(options, onConnect);
  // An address is no name to ask a server for (RFC 6066), but is what its certificate is checked for.
  return connectTls({ ...options, ...tls, ...(isIP(host) === 0 && { servername: host }) }, onConnect);
}

function refusingSocket(): Socket {
  const socket = new Socket();
  process.nextTick(() => socket.destroy(givenUp()));
  return socket;
}

function givenUp(): Error {
  return new Error("this client was given up");
}

/** kafkajs calls every broken connection an error and repeats it; what it means for us we report ourselves. */
function report(logger: BusLogger, { namespace, log }: LogEntry): void {
  const { message, timestamp: _, ...facts } = log;
  logger.debug(`kafkajs ${namespace}: ${message}`, facts);
}

/** Rejects with BusUnavailableError when `work` takes longer; the caller then gives the client up. */
export async function within<Result>(timeMs: number, what: string, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new BusUnavailableError(`${what}: no answer in ${timeMs} ms`)), timeMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // Nobody waits for it any more when it was late.
    work.catch(() => undefined);
  }
}

interface RequestQueue {
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  throttledUntil: number;
  pending: unknown[];
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
}

let repaired = false;

/**
 * kafkajs 2.2.4, its last release, sets a timer after every response even when no request waits, with a delay of
 * minus 55 years: Node 24 warns (TimeoutNegativeWarning) and fires it every millisecond, for ever. An idle consumer
 * then takes 5.1 instead of 2.7 % of a core. Waiting requests are the only reason for that timer.
 */
function repairTimers(): void {
  if (repaired) return;
  repaired = true;
  const load = createRequire(import.meta.url);
  const { prototype } = load("kafkajs/src/network/requestQueue") as { prototype: RequestQueue };
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return;
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      },
      Math.max(10, this.throttledUntil - Date.now()),
    );
  };
}
