import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServiceBroker } from "moleculer";
import { closeBus } from "../../lib/bus/broker-bus.ts";
import { callAction } from "../../lib/define.ts";
import { drain } from "../../lib/drain.ts";
import { foldersOf, type MigratedName, migrate } from "../../migrations/run.ts";
import { createDatabases, startPostgres } from "../../scripts/parts/postgres.ts";
import { ensureTopics } from "../../scripts/topics.ts";

/**
 * Payments a second, authorised and captured at the simulated provider, in one process with PostgreSQL:
 *   node bench/studies/payments.ts [concurrency=64] [seconds=10]
 */
const [concurrency = 64, seconds = 10] = process.argv.slice(2).map(Number);
const root = mkdtempSync(join(tmpdir(), "holdfast-payments-"));
const postgres = await startPostgres({ dataDir: join(root, "postgres"), port: "auto" });
try {
  const names: readonly MigratedName[] = ["payment", "bus"];
  await createDatabases(postgres.adminUrl, ["oms_payment", "oms_bus"]);
  for (const name of names) await migrate({ url: postgres.urlOf(`oms_${name}`), folders: foldersOf(name) });
  process.env.DATABASE_URL = postgres.urlOf("oms");
  const { config } = await import("../../lib/config.ts");
  await ensureTopics(config());
  const { default: payment } = await import("../../services/payment/payment.service.ts");
  const broker = new ServiceBroker({ logger: false, middlewares: [drain(), closeBus] });
  broker.createService(payment);
  await broker.start();
  await pay(broker, 2);
  const { done, latencies } = await pay(broker, seconds);
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)]?.toFixed(1);
  console.log(
    `c=${concurrency}: ${Math.round(done / seconds)} payments/s, p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms`,
  );
  await broker.stop();
} finally {
  await postgres.stop();
  rmSync(root, { recursive: true, force: true });
}

async function pay(broker: ServiceBroker, time: number) {
  const end = performance.now() + time * 1_000;
  const latencies: number[] = [];
  const one = async () => {
    while (performance.now() < end) {
      const before = performance.now();
      const gid = randomUUID();
      await callAction(broker, "payment.try", {
        gid,
        orderId: randomUUID(),
        customerId: randomUUID(),
        amountMinor: 1_000,
        currency: "EUR",
        paymentMethod: "sim_ok",
      });
      await callAction(broker, "payment.confirm", { gid });
      latencies.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  return { done: latencies.length, latencies };
}
