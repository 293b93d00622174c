import type { SASLOptions } from "kafkajs";
import { type Config, ConfigError } from "../config.ts";
import { readTlsFiles, type TlsFiles } from "../tls.ts";

/** How Kafka's brokers are reached, and who we are to them. */
export interface KafkaSecurity {
  /** Left out: the connection is not encrypted. */
  readonly tls?: TlsFiles;
  readonly sasl?: SASLOptions;
}

/** @throws ConfigError settings that contradict each other, or would send a password in the clear */
export function kafkaSecurity(config: Config): KafkaSecurity {
  const files = readTlsFiles(config, "KAFKA");
  const encrypted = config.KAFKA_TLS || files.ca !== undefined;
  if (!encrypted && files.cert !== undefined)
    throw new ConfigError("KAFKA_TLS", "set it, or KAFKA_CA: KAFKA_CERT is for encrypted connections only");
  const sasl = saslOf(config);
  if (sasl !== undefined && !encrypted)
    throw new ConfigError("KAFKA_TLS", "set it, or KAFKA_CA: a password may not go over an open connection");
  return { ...(encrypted && { tls: files }), ...(sasl && { sasl }) };
}

function saslOf({ KAFKA_SASL, KAFKA_USER, KAFKA_PASSWORD }: Config): SASLOptions | undefined {
  if (KAFKA_SASL === "none") {
    if (KAFKA_USER === undefined && KAFKA_PASSWORD === undefined) return undefined;
    throw new ConfigError("KAFKA_SASL", "set it too: KAFKA_USER and KAFKA_PASSWORD need a mechanism");
  }
  if (KAFKA_USER === undefined) throw new ConfigError("KAFKA_USER", `set it for KAFKA_SASL=${KAFKA_SASL}`);
  if (KAFKA_PASSWORD === undefined)
    throw new ConfigError("KAFKA_PASSWORD", `set it for KAFKA_SASL=${KAFKA_SASL}`);
  return { mechanism: KAFKA_SASL, username: KAFKA_USER, password: KAFKA_PASSWORD } as SASLOptions;
}
