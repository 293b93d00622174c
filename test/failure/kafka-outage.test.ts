/**
 * Kafka away for ten seconds under load: orders are taken on all the same and wait for it, and afterwards everything
 * is on its topics, each aggregate's events in their order.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { startKafka } from "../../scripts/parts/kafka.ts";
import type { OwnPart } from "../../scripts/parts/part.ts";
import { underLoad } from "../support/load.ts";
import { expectPromisesKept } from "../support/promises-kept.ts";
import { seededRandom } from "../support/random.ts";
import { describeOnStack, type System, stackDir, startSystem } from "../support/system.ts";

const outageMs = 10_000;

describeOnStack("Kafka", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "holdfast-outage-"));
  let kafka: OwnPart | undefined;
  let system: System | undefined;

  beforeAll(async () => {
    kafka = await startKafka({ stackDir, dataDir, port: "auto" });
    system = await startSystem({ mode: "stack", env: { KAFKA_BROKERS: kafka.url } });
  }, 150_000);

  afterAll(async () => {
    try {
      await system?.stop();
    } finally {
      await kafka?.stop();
      rmSync(dataDir, { recursive: true, force: true });
    }
  }, 150_000);

  test("away for ten seconds under load delays orders, and loses and disorders nothing", async () => {
    if (kafka === undefined || system === undefined) throw new Error("the system is not ready");
    const [broker, running] = [kafka, system];
    const random = seededRandom("kafka-outage");
    let [goneAt, backAt] = [0, 0];
    const result = await underLoad(running, { random, wishesPerSecond: 20, customers: 8 }, async () => {
      await wait(2_000);
      await broker.stop();
      goneAt = performance.now();
      await wait(outageMs);
      backAt = performance.now();
      await broker.restart();
      await wait(2_000);
    });
    const kept = await expectPromisesKept(running, result);
    const meanwhile = result.wishes.filter(({ answeredAt }) => answeredAt > goneAt && answeredAt < backAt);
    process.stderr.write(`kafka-outage: ${meanwhile.length} meanwhile, ${JSON.stringify(kept)}\n`);
    // Taking an order on needs no Kafka. Refusals would be 503 by the book, and are none.
    expect(meanwhile.length).toBeGreaterThan(100);
    expect(kept.open).toEqual({});
    expect(kept.outcomes.created).toBeGreaterThan(meanwhile.length / 2);
  }, 180_000);
});
