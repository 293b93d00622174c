import { randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expireMessages } from "../../lib/bus/postgres-retention.ts";
import { openDatabase } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import { migrate } from "../../migrations/run.ts";
import { createDatabases, type PostgresPart, startPostgres } from "../../scripts/parts/postgres.ts";
import { BusTest, messagesFor, totalLag } from "../support/bus-group.ts";
import { until } from "../support/until.ts";
import { describeBus } from "./bus.contract.ts";

const root = mkdtempSync(join(tmpdir(), "holdfast-bus-"));
let postgres: PostgresPart;

beforeAll(async () => {
  // As root, PostgreSQL runs as another user, who has to enter the folder.
  chmodSync(root, 0o755);
  postgres = await startPostgres({ dataDir: join(root, "postgres"), port: "auto" });
  await createDatabases(postgres.adminUrl, ["oms_bus"]);
  await migrate({ url: postgres.urlOf("oms_bus"), folders: ["bus"] });
}, 120_000);

afterAll(async () => {
  await postgres?.stop();
  rmSync(root, { recursive: true, force: true });
});

const OLDER = statement(
  "test_older",
  "update bus_log set at = at - $2::int * interval '1 day' where topic = $1",
);

describe("the PostgreSQL bus", () => {
  describeBus(() => ({
    address: { kind: "postgres", at: postgres.urlOf("oms_bus") },
    stop: () => postgres.stop(),
    kill: () => postgres.kill("SIGKILL"),
    restart: () => postgres.restart(),
  }));

  it("keeps what a group has not read for longer than its topic's retention, and not for ever", async () => {
    const url = postgres.urlOf("oms_bus");
    const test = new BusTest({ kind: "postgres", at: url });
    const database = openDatabase({ url, name: "test" });
    try {
      const bus = test.openBus();
      const topic = `test.${randomUUID()}`;
      await bus.ensureTopics([{ name: topic, partitions: 1, retentionMs: 86_400_000 }]);
      const older = (days: number) => database.query(OLDER, [topic, days]);
      const first = await test.join(bus, [topic]);
      const read = messagesFor(topic, 10);
      await bus.publish(read);
      await until("read and committed", async () => (await totalLag(bus, test.group, topic)) === 0);
      await first.subscription.stop();
      const unread = messagesFor(topic, 10);
      await bus.publish(unread);
      await older(2);
      await expect(expireMessages(database, { stepMax: 3, pauseMs: 0 })).resolves.toBe(10);
      const second = await test.join(bus, [topic]);
      await until("the group reads on", () => second.receipts.hasAll(unread));
      expect(second.receipts.all).toHaveLength(10);
      await second.subscription.stop();
      await bus.publish(messagesFor(topic, 5));
      await older(15);
      // Those that were read, and those that nobody has read for two weeks.
      await expect(expireMessages(database, { pauseMs: 0 })).resolves.toBe(15);
    } finally {
      await test.close();
      await database.close();
    }
  });

  it("forgets messages after their topic's retention, step by step, and groups go on behind them", async () => {
    const url = postgres.urlOf("oms_bus");
    const test = new BusTest({ kind: "postgres", at: url });
    const database = openDatabase({ url, name: "test" });
    try {
      const bus = test.openBus();
      const kept = await test.createTopic(bus, 2);
      const expiring = `test.${randomUUID()}`;
      await bus.ensureTopics([{ name: expiring, partitions: 2, retentionMs: 300 }]);
      const old = messagesFor(expiring, 250);
      await bus.publish([...old, ...messagesFor(kept, 50)]);
      await until("the old ones expire", async () => {
        await expireMessages(database, { stepMax: 20, pauseMs: 0 });
        return (await totalLag(bus, test.group, expiring)) === 0;
      });
      expect(await totalLag(bus, test.group, kept)).toBe(50);
      const { receipts } = await test.join(bus, [kept, expiring]);
      const fresh = messagesFor(expiring, 10);
      await bus.publish(fresh);
      await until("the fresh ones arrive", () => receipts.hasAll(fresh) && receipts.all.length >= 60);
      expect(receipts.all).toHaveLength(60);
    } finally {
      await test.close();
      await database.close();
    }
  });
});
