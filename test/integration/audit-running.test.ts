/**
 * npm run audit as one runs it: on a system that takes orders meanwhile, on one that was killed in the middle of it,
 * and on nothing at all.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "../../scripts/audit/report.ts";
import type { DemoFile } from "../../scripts/demo/demo-file.ts";
import { endDemos, runScript, startDemo } from "../support/demo-process.ts";
import { http } from "../support/http.ts";
import { run } from "../support/service-database.ts";
import { describeOnStack } from "../support/system.ts";
import { until } from "../support/until.ts";

const folders: string[] = [];

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-audit-"));
  folders.push(folder);
  return folder;
}

afterAll(async () => {
  await endDemos();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}, 120_000);

async function audit(
  dataDir: string,
  ...options: string[]
): Promise<{ code: number | null; report: Report }> {
  const { code, output } = await runScript(["audit.ts", "--json", ...options], { DATA_DIR: dataDir });
  return { code, report: JSON.parse(output.slice(output.indexOf("{"))) as Report };
}

const found = ({ invariants }: Report) =>
  invariants.flatMap(({ id, violations }) => violations.map(({ subject }) => `${id} ${subject}`));

let keys = 0;

async function place({ api, tokens }: DemoFile, productId: string, quantity: number): Promise<string> {
  keys += 1;
  const answer = await http(`${api}/orders`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${tokens.customer}`,
      "content-type": "application/json",
      "idempotency-key": `audit-${keys}`,
    },
    body: JSON.stringify({ items: [{ productId, quantity }] }),
  });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 202 });
  return String(answer.body?.orderId);
}

/** Some are created, some find no stock. Answers the ids. */
function placeSome(demo: DemoFile, count: number): Promise<string[]> {
  const { plenty, scarce, soldOut } = demo.products;
  const wishes = Array.from(
    { length: count },
    (_, index) => [plenty, scarce, plenty, soldOut][index % 4] ?? "",
  );
  return Promise.all(wishes.map((product, index) => place(demo, product, 1 + (index % 3))));
}

async function ended({ databases }: DemoFile, orders: number): Promise<void> {
  await until(`${orders} sagas have ended`, async () => {
    const [row] = await run<{ ended: number }>(
      databases.saga,
      "select count(*)::int as ended from saga_instances where state in ('COMPLETED', 'COMPENSATED')",
    );
    return row?.ended === orders;
  });
}

/** From orders under way to a system that nobody runs any more. */
function lifeOf(script: "start.ts" | "stack.ts", bus: "postgres" | "kafka"): void {
  test("a system is clean while it takes orders, when they have ended, and after kill -9; what is broken is named", async () => {
    const dataDir = newFolder();
    const process = startDemo({ command: [script], dataDir });
    const demo = await process.ready();
    const [under] = await Promise.all([audit(dataDir), placeSome(demo, 60)]);
    expect(found(under.report)).toEqual([]);
    expect(under.code).toBe(0);

    await ended(demo, 60);
    const rest = await audit(dataDir);
    expect({ code: rest.code, found: found(rest.report) }).toEqual({ code: 0, found: [] });
    expect(rest.report.system).toMatchObject({ live: true, bus });
    const looked = Object.fromEntries(rest.report.invariants.map(({ id, looked: counts }) => [id, counts]));
    expect(looked).toMatchObject({ I5: { orders: 60 }, I6: { answers: 60 }, I8: { "in flight": 0 } });
    expect(looked.I7?.events).toBeGreaterThanOrEqual(240);
    expect(looked.I7?.["messages on the bus"]).toBe(looked.I7?.events);

    const killing = placeSome(demo, 40).catch(() => undefined);
    await until("some of them are in", async () => {
      const [row] = await run<{ sagas: number }>(
        demo.databases.saga,
        "select count(*)::int as sagas from saga_instances",
      );
      return row !== undefined && row.sagas > 60;
    });
    await process.end("SIGKILL");
    await killing;
    // It brings up what is left, looks, and takes it down again; an order is clean wherever it was cut off.
    const killed = await until(
      "the killed system can be looked at",
      async () => {
        const attempt = await audit(dataDir);
        return attempt.code !== 2 && attempt;
      },
      { timeoutMs: 120_000 },
    );
    expect({ code: killed.code, found: found(killed.report) }).toEqual({ code: 0, found: [] });
    expect(killed.report.system.bus).toBe(bus);
  }, 300_000);
}

describe("npm start", () => {
  lifeOf("start.ts", "postgres");

  test("a live system that breaks a promise is told so, with the ids", async () => {
    const dataDir = newFolder();
    const demo = await startDemo({ command: ["start.ts"], dataDir }).ready();
    const orderId = await place(demo, demo.products.plenty, 2);
    await ended(demo, 1);
    const lost = await run<{ event_id: string }>(
      demo.databases.saga,
      "delete from processed_events where event_type = 'STOCK_RESERVED' returning event_id",
    );
    await run(
      demo.databases.product,
      `update products set sold = sold + 1 where id = '${demo.products.scarce}'`,
    );
    await run(
      demo.databases.order,
      `delete from order_status_history where order_id = '${orderId}' and version = 2`,
    );
    const { code, report } = await audit(dataDir, "--settle-seconds", "2");
    expect(code).toBe(1);
    expect(found(report)).toEqual([
      `I2 product ${demo.products.scarce}`,
      `I8 event ${lost[0]?.event_id}`,
      `I9 order ${orderId}`,
    ]);
  }, 120_000);
});

describeOnStack("npm run stack", () => {
  lifeOf("stack.ts", "kafka");
});

describe("without a system", () => {
  test("it says so and ends with 2", async () => {
    const env = { DATA_DIR: newFolder(), DATABASE_URL: "postgres://nobody@127.0.0.1:1/oms" };
    const { code, output } = await runScript(["audit.ts"], env);
    expect(output).toMatch(
      /^audit: could not check: the database of order cannot be read: .*ECONNREFUSED.*\n$/,
    );
    expect(code).toBe(2);
    const nothing = await runScript(["audit.ts"], { ...env, DATABASE_URL: "" });
    expect(nothing.output).toMatch(/^audit: ORDER_DATABASE_URL: set it, or DATABASE_URL for all services\n$/);
    expect(nothing.code).toBe(2);
  });

  test("wrong options end with 2 and the usage", async () => {
    const { code, output } = await runScript(["audit.ts", "--grace-seconds", "soon"], {});
    expect(output).toMatch(/^audit: --grace-seconds: "soon" is not a number of seconds\nusage: /);
    expect(code).toBe(2);
  });
});
