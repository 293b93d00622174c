import { randomBytes } from "node:crypto";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { draftBeside } from "./draft.ts";
import { PartFailedError, type Progress } from "./part.ts";
import { lastLine, run } from "./process.ts";

export interface KafkaPlace {
  readonly java: string;
  readonly libs: string;
  readonly dataDir: string;
  /** Topics' data; survives restarts. */
  readonly logDir: string;
  readonly propertiesFile: string;
  readonly heapMb: number;
  readonly listener?: KafkaListener;
}

/** A second way in, for clients: `listener.name.secure.…` in the properties is about it. */
export interface KafkaListener {
  readonly port: number;
  readonly protocol: "SSL" | "SASL_SSL";
  readonly properties: Readonly<Record<string, string>>;
}

/** Formats the log folder when there is none. It appears in one step: a killed format leaves no half of one. */
export async function ensureStorage(place: KafkaPlace, progress?: Progress): Promise<void> {
  if (existsSync(join(place.logDir, "meta.properties"))) return;
  const draft = draftBeside(place.logDir);
  rmSync(place.logDir, { recursive: true, force: true });
  progress?.("kafka: formatting its storage …");
  const properties = join(place.dataDir, "format.properties");
  writeFileSync(properties, serverProperties({ port: 1, controllerPort: 2, logDir: draft }));
  const args = ["format", "--cluster-id", clusterId(), "--config", properties];
  const options = { cwd: "/", timeoutMs: 120_000 };
  const result = await run(place.java, javaArgs(place, "kafka.tools.StorageTool", args), options);
  rmSync(properties, { force: true });
  if (result.code !== 0) {
    throw new PartFailedError(
      "kafka",
      `formatting its storage failed: ${lastLine(result.output, /error|exception/i)}`,
    );
  }
  renameSync(draft, place.logDir);
}

/**
 * SerialGC keeps it at about 400 MB of memory. -XX:TieredStopAtLevel=1 would have it up in 1.8 instead of 2.2 s, but
 * leave it without its optimising compiler under load, and benchmarks run against it.
 */
export function javaArgs(place: KafkaPlace, main: string, args: readonly string[]): string[] {
  return [
    `-Xmx${place.heapMb}m`,
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-cp",
    join(place.libs, "*"),
    main,
    ...args,
  ];
}

interface Layout {
  readonly port: number;
  readonly controllerPort: number;
  readonly logDir: string;
  readonly listener?: KafkaListener;
}

/**
 * One node that is broker and controller. Topics are created by us with the partitions they need, never by a typing
 * mistake in a consumer. 8 partitions for offsets instead of 50: each is a folder of files to open at every start.
 * Session timeout: after kill -9 the node is let in again only when its former self has timed out, which at the
 * default of 9 s made such a restart take 12 s.
 */
export function serverProperties({ port, controllerPort, logDir, listener }: Layout): string {
  const [secure, advertised, protocol] =
    listener === undefined
      ? ["", "", ""]
      : [
          `,SECURE://127.0.0.1:${listener.port}`,
          `,SECURE://localhost:${listener.port}`,
          `,SECURE:${listener.protocol}`,
        ];
  const properties = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${secure}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}${advertised}`,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${protocol}`,
    "log.dirs": logDir,
    "auto.create.topics.enable": false,
    "num.partitions": 6,
    "offsets.topic.num.partitions": 8,
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.num.partitions": 8,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    "broker.session.timeout.ms": 4000,
    "broker.heartbeat.interval.ms": 1000,
    ...(listener && { "inter.broker.listener.name": "PLAINTEXT", ...listener.properties }),
  };
  // A backslash starts an escape in a properties file.
  const lines = Object.entries(properties).map(
    ([name, value]) => `${name}=${String(value).replaceAll("\\", "\\\\")}`,
  );
  return `${lines.join("\n")}\n`;
}

/** 16 random bytes in base64url, as Kafka's own tool makes them: never with a leading "-", which reads as an option. */
function clusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString("base64url");
    if (!id.startsWith("-")) return id;
  }
}
