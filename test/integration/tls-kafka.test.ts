import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openBus } from "../../lib/bus/open-bus.ts";
import { loadConfig } from "../../lib/config.ts";
import { startKafka } from "../../scripts/parts/kafka.ts";
import type { OwnPart } from "../../scripts/parts/part.ts";
import { freePort } from "../../scripts/parts/ports.ts";
import { looking, makePapers, refusedBy } from "../support/secure-servers.ts";
import { describeOnStack, stackDir } from "../support/system.ts";
import { until } from "../support/until.ts";

/** Kafka that lets in who shows a certificate and knows a password. */

const papers = makePapers();
const { ca, strangers, ours } = papers;

describeOnStack("Kafka behind TLS and a password", () => {
  const root = mkdtempSync(join(tmpdir(), "holdfast-tls-kafka-"));
  let part: OwnPart | undefined;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    const { cert, key } = papers.authority.issue({ name: "kafka", hosts: ["localhost"] });
    const secure = "listener.name.secure";
    const login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    const properties = {
      [`${secure}.ssl.keystore.type`]: "PEM",
      [`${secure}.ssl.keystore.location`]: papers.file(key + cert),
      [`${secure}.ssl.truststore.type`]: "PEM",
      [`${secure}.ssl.truststore.location`]: ca,
      [`${secure}.ssl.client.auth`]: "required",
      [`${secure}.sasl.enabled.mechanisms`]: "PLAIN",
      [`${secure}.plain.sasl.jaas.config`]: `${login} user_us="the-password";`,
    };
    const listener = { port, protocol: "SASL_SSL" as const, properties };
    part = await startKafka({ stackDir, dataDir: root, port: "auto", listener });
  }, 150_000);
  afterAll(async () => {
    await part?.stop();
    rmSync(root, { recursive: true, force: true });
  }, 60_000);

  const env = (given: NodeJS.ProcessEnv = {}) => ({
    KAFKA_BROKERS: `localhost:${port}`,
    KAFKA_CA: ca,
    KAFKA_CERT: ours.cert,
    KAFKA_KEY: ours.key,
    KAFKA_SASL: "plain",
    KAFKA_USER: "us",
    KAFKA_PASSWORD: "the-password",
    ...given,
  });

  test("events go through, encrypted, under our name", async () => {
    await looking(env());
    const bus = openBus(loadConfig(env()));
    const topic = { name: "oms.tls", partitions: 1, retentionMs: 3_600_000 };
    await bus.ensureTopics([topic]);
    await bus.publish([{ topic: topic.name, key: "k", value: "{}", headers: {} }]);
    const heard: string[] = [];
    const handler = async (messages: readonly { key: string }[]) => {
      heard.push(...messages.map(({ key }) => key));
    };
    const subscription = await bus.subscribe({
      group: "tls",
      topics: [topic.name],
      batchSizeMax: 10,
      handler,
    });
    await until("it was heard", () => heard.length > 0);
    expect(heard).toEqual(["k"]);
    await subscription.stop();
    await bus.close();
  }, 60_000);

  test.each<[string, () => NodeJS.ProcessEnv, string]>([
    ["another authority", () => ({ KAFKA_CA: strangers }), "KAFKA_CA"],
    ["another name", () => ({ KAFKA_BROKERS: `127.0.0.1:${port}` }), "KAFKA_BROKERS"],
    ["another password", () => ({ KAFKA_PASSWORD: "wrong" }), "KAFKA_USER"],
    ["no certificate of ours", () => ({ KAFKA_CERT: undefined, KAFKA_KEY: undefined }), "KAFKA_CERT"],
  ])(
    "%s is told by its setting",
    async (_what, given, setting) => {
      await expect(looking(env(given()))).rejects.toMatchObject(refusedBy(setting));
    },
    60_000,
  );
});
