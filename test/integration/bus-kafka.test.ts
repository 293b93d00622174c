import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { startKafka } from "../../scripts/parts/kafka.ts";
import type { OwnPart } from "../../scripts/parts/part.ts";
import { BusTest, messagesFor } from "../support/bus-group.ts";
import { until } from "../support/until.ts";
import { describeBus } from "./bus.contract.ts";

const stackDir = join(__dirname, "..", "..", ".stack");
const reason = whyNoKafka();
let root: string;
let kafka: OwnPart;

// In CI the real broker is not optional: there the suite runs, and fails if it has to.
const describeKafka = reason === undefined || process.env.CI ? describe : describe.skip;
if (reason !== undefined && !process.env.CI) console.warn(`SKIPPED: the Kafka bus: ${reason}`);

describeKafka(`the Kafka bus${reason === undefined ? "" : ` (${reason})`}`, () => {
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "holdfast-bus-"));
    kafka = await startKafka({ stackDir, dataDir: join(root, "kafka"), port: "auto" });
  }, 300_000);

  afterAll(async () => {
    await kafka?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  describeBus(() => ({
    address: { kind: "kafka", at: kafka.url },
    stop: () => kafka.stop(),
    kill: () => kafka.kill("SIGKILL"),
    restart: () => kafka.restart(),
  }));

  it("names the one message of a batch that the broker refuses, and takes the others", async () => {
    const test = new BusTest({ kind: "kafka", at: kafka.url });
    const client = new Kafka({ clientId: "test", brokers: [kafka.url], logLevel: logLevel.NOTHING });
    const admin = client.admin();
    try {
      await admin.connect();
      const topic = `test.${randomUUID()}`;
      const configEntries = [{ name: "max.message.bytes", value: "20000" }];
      await admin.createTopics({ topics: [{ topic, numPartitions: 3, configEntries }] });
      const bus = test.openBus();
      const { receipts } = await test.join(bus, [topic]);
      const messages = messagesFor(topic, 10);
      const [third] = messages.splice(2, 1, {
        topic,
        key: "k",
        value: JSON.stringify("x".repeat(30_000)),
        headers: {},
      });
      await expect(bus.publish(messages)).rejects.toMatchObject({ type: "MESSAGE_REFUSED", index: 2 });
      const rest = [...(third ? [third] : []), ...messages.slice(3)];
      await bus.publish(rest);
      await until("the others arrive", () => receipts.hasAll([...messages.slice(0, 2), ...rest]));
    } finally {
      await admin.disconnect();
      await test.close();
    }
  });
});

/** Asked before the tests are named, so that a suite that cannot run is seen to be skipped, not to pass. */
function whyNoKafka(): string | undefined {
  const runs = (command: string, option: string) =>
    spawnSync(command, [option], { stdio: "ignore" }).status === 0;
  if (!runs("java", "-version")) return "no Java on PATH";
  if (!existsSync(join(stackDir, "kafka", "libs")) && !runs("mvn", "-version")) return "no Maven on PATH";
  return undefined;
}
