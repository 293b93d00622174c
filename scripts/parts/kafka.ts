import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import type { ClaimRequest } from "./claim.ts";
import { termSteps } from "./guard.ts";
import { findJava, findKafkaLibs } from "./kafka-libs.ts";
import {
  ensureStorage,
  javaArgs,
  type KafkaListener,
  type KafkaPlace,
  serverProperties,
} from "./kafka-storage.ts";
import { type OwnedBy, type OwnPart, PartFailedError, type Progress } from "./part.ts";
import { freePort, PortTakenError, resolvePort } from "./ports.ts";
import { lastLine } from "./process.ts";
import { openServer, type ServerSpec, stopProcess } from "./server.ts";

export interface KafkaOptions {
  /** Where Kafka's jars are kept. */
  readonly stackDir: string;
  /** Holds the topics, the log and the claim; kept between starts. */
  readonly dataDir: string;
  readonly port: number | "auto";
  readonly heapMb?: number;
  readonly listener?: KafkaListener;
  readonly ownedBy?: OwnedBy;
  readonly progress?: Progress;
}

/** Starts Apache Kafka (one KRaft node), downloading it by Maven the first time. `url` is host:port. */
export async function startKafka(options: KafkaOptions): Promise<OwnPart> {
  const java = await findJava();
  const libs = await findKafkaLibs(resolve(options.stackDir), options.progress);
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const propertiesFile = join(dataDir, "server.properties");
  const heapMb = options.heapMb ?? 256;
  const place = {
    java,
    libs,
    dataDir,
    logDir: join(dataDir, "topics"),
    propertiesFile,
    heapMb,
    listener: options.listener,
  };
  const marker = `kafka.Kafka ${propertiesFile} `;
  const claim: ClaimRequest = {
    part: "kafka",
    file: join(dataDir, "claim.json"),
    marker,
    port: options.port === "auto" ? 0 : options.port,
    settings: JSON.stringify({ heapMb }),
    ownedBy: options.ownedBy ?? "process",
    stop: (pid) => stopProcess(pid, marker, termSteps),
  };
  return openServer(claim, async (running) => {
    if (running !== undefined) return serverSpec(place, claim, running.port);
    const port = await resolvePort("KAFKA_PORT", options.port);
    await ensureStorage(place, options.progress);
    return serverSpec(place, claim, port);
  });
}

function serverSpec(place: KafkaPlace, claim: ClaimRequest, port: number): ServerSpec {
  const logFile = join(place.dataDir, "kafka.log");
  return {
    name: "kafka",
    url: `127.0.0.1:${port}`,
    port,
    claim,
    logFile,
    steps: termSteps,
    startMsMax: 120_000,
    launch: async () => {
      // Only the node itself talks to its controller, so that port may change from start to start.
      const controllerPort = await freePort();
      writeFileSync(place.propertiesFile, serverProperties({ ...place, port, controllerPort }));
      return { command: place.java, args: javaArgs(place, "kafka.Kafka", [place.propertiesFile]) };
    },
    isReady: () => isMember(port),
    failure: (log) => {
      if (log.includes("Address already in use")) return new PortTakenError("KAFKA_PORT", port);
      const cause = lastLine(log, /Exception|ERROR/);
      return new PartFailedError("kafka", `did not start: ${cause} (log: ${logFile})`);
    },
  };
}

/**
 * Whether the broker lists itself as a member of its cluster; the port opens before that. Asked by hand, for
 * kafkajs would have to be loaded for it, and on Node 24 each of its failed connections ends in a
 * TimeoutNegativeWarning on the terminal. Version 1 of Metadata: an answer is its length, our correlation id, and
 * the number of brokers, four bytes each, before anything else.
 */
function isMember(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    let received = Buffer.alloc(0);
    const answer = (up: boolean): void => {
      socket.destroy();
      resolve(up);
    };
    socket.setTimeout(5_000, () => answer(false));
    socket.once("error", () => answer(false));
    socket.once("close", () => answer(false));
    socket.once("connect", () => socket.write(metadataRequest));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length >= 12) answer(received.readInt32BE(8) > 0);
    });
  });
}

/** Length 18, API 3 (Metadata) in version 1, correlation id 1, client id "node", no topics. */
const metadataRequest = Buffer.from(
  "00000012" + "0003" + "0001" + "00000001" + "00046e6f6465" + "00000000",
  "hex",
);
