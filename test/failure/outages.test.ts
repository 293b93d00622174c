/**
 * PostgreSQL, NATS and Kafka stopped in turn under a system of one process for each service: each process says of itself
 * what it lacks, none is taken for dead, clients are told what the documents say, and when the server is back, all are
 * ready again and what was accepted goes on.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReadinessReport } from "../../lib/readiness.ts";
import { startKafka } from "../../scripts/parts/kafka.ts";
import { startNats } from "../../scripts/parts/nats.ts";
import type { OwnPart } from "../../scripts/parts/part.ts";
import { startPostgres } from "../../scripts/parts/postgres.ts";
import { auditSystem } from "../support/audit.ts";
import { http } from "../support/http.ts";
import { ended, placedOf } from "../support/shop.ts";
import { describeOnStack, type System, stackDir, startSystem } from "../support/system.ts";
import { until } from "../support/until.ts";

type ServerName = "postgres" | "nats" | "kafka";

const PROCESSES = ["order", "product", "payment", "customer", "saga", "gateway"] as const;
type ProcessName = (typeof PROCESSES)[number];

const CONSUMERS = ["order", "product", "payment", "saga"] as const;
const DATABASES = [...CONSUMERS, "customer"] as const;
const groupOf = (name: string) => `consumer:${name}-service-group`;

/** What each process lacks while a server is away; the others are ready. */
const LACKING: Readonly<Record<ServerName, (name: ProcessName) => readonly string[]>> = {
  postgres: (name) => (DATABASES.some((one) => one === name) ? [`database:${name}`] : []),
  nats: () => ["nats"],
  kafka: (name) => (CONSUMERS.some((one) => one === name) ? [groupOf(name)] : []),
};

describeOnStack("an outage of", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "holdfast-outages-"));
  const servers: Partial<Record<ServerName, OwnPart>> = {};
  let system: System;

  beforeAll(async () => {
    const [postgres, nats, kafka] = await Promise.all([
      startPostgres({ dataDir: join(dataDir, "postgres"), port: "auto" }),
      startNats({ stackDir, dataDir, port: "auto" }),
      startKafka({ stackDir, dataDir, port: "auto" }),
    ]);
    Object.assign(servers, { postgres, nats, kafka });
    const env = {
      DATABASE_URL: postgres.urlOf("oms"),
      TRANSPORTER: nats.url,
      KAFKA_BROKERS: kafka.url,
      // An order that waits for Kafka is not to be given up, however slow this machine is.
      STOCK_REPLY_TIMEOUT_MS: "120000",
    };
    system = await startSystem({ mode: "stack", env });
  }, 150_000);

  afterAll(async () => {
    try {
      await system?.stop();
    } finally {
      await Promise.all(Object.values(servers).map((server) => server.stop()));
      rmSync(dataDir, { recursive: true, force: true });
    }
  }, 150_000);

  /** What each process says that it lacks. That it answers at all, and that it is alive, is always so. */
  async function lacking(): Promise<Record<string, readonly string[]>> {
    const said = PROCESSES.map(async (name) => {
      const { internal } = system.demo.processes[name] ?? {};
      expect(await http(`${internal}/live`)).toMatchObject({ status: 200, body: { live: true } });
      const { status, text } = await http(`${internal}/ready`);
      const { checks } = JSON.parse(text) as ReadinessReport;
      const missing = Object.keys(checks).filter((check) => checks[check]?.ok === false);
      expect(status).toBe(missing.length === 0 ? 200 : 503);
      return [name, missing] as const;
    });
    return Object.fromEntries(await Promise.all(said));
  }

  const expected = (of: (name: ProcessName) => readonly string[]) =>
    Object.fromEntries(PROCESSES.map((name) => [name, of(name)]));

  const say = (what: string, wanted: Record<string, readonly string[]>) =>
    until(
      what,
      async () => {
        // Whoever lacks more than its own has something else amiss.
        expect(await lacking()).toEqual(wanted);
        return true;
      },
      { timeoutMs: 45_000 },
    );

  const place = (key: string) =>
    system.api("/orders", {
      key,
      body: { items: [{ productId: system.demo.products.plenty, quantity: 1 }] },
    });

  test.each([
    // Nothing can be looked up or written: refused, and the key stays good.
    ["postgres", [503, 504], ["DATABASE_UNAVAILABLE", "REQUEST_TIMEOUT", "SERVICE_NOT_AVAILABLE"]],
    ["nats", [503, 504], ["SERVICE_NOT_AVAILABLE", "REQUEST_TIMEOUT"]],
    // Taking an order on needs no Kafka.
    ["kafka", [202], [undefined]],
  ] as const)(
    "%s is told by those whom it concerns, and is over when it is over",
    async (name, statuses, codes) => {
      const server = servers[name];
      if (server === undefined) throw new Error(`${name} does not run`);
      await say(
        "all are ready before",
        expected(() => []),
      );
      await server.stop();
      await say(`${name} is missed`, expected(LACKING[name]));
      const key = randomUUID();
      const meanwhile = await place(key);
      expect(statuses).toContain(meanwhile.status);
      expect(codes).toContain(meanwhile.body?.code);
      if (meanwhile.status === 503) expect(meanwhile.headers["retry-after"]).toMatch(/^\d+$/);
      await server.restart();
      await say(
        "all are ready again",
        expected(() => []),
      );
      const accepted = await until("the order is accepted", async () => {
        const answer = await place(key);
        return answer.status === 202 && answer;
      });
      await expect(ended(system, placedOf(accepted).orderId)).resolves.toMatchObject({ status: "created" });
    },
    150_000,
  );

  test("leaves nothing amiss", async () => {
    await expect(auditSystem(system.sql)).resolves.toEqual([]);
  }, 90_000);
});
