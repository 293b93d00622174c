/**
 * npm run stack and npm run cluster: each service a process of its own on real NATS and PostgreSQL, with and
 * without Kafka. A service that is killed comes back by itself, and verify sees what it should.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type DemoFile, readDemoFile } from "../../scripts/demo/demo-file.ts";
import { exists } from "../../scripts/parts/process.ts";
import { type DemoProcess, endDemos, runScript, startDemo } from "../support/demo-process.ts";
import { until } from "../support/until.ts";

const folders: string[] = [];

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-stack-"));
  folders.push(folder);
  return folder;
}

afterAll(async () => {
  await endDemos();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Undefined, and said aloud, where this machine cannot have NATS or Kafka; in CI that is a failure. */
async function readyWhereAvailable(demo: DemoProcess): Promise<DemoFile | undefined> {
  try {
    return await demo.ready();
  } catch (error) {
    const missing = /^(cluster|stack): (nats|kafka): .*$/m.exec(demo.output())?.[0];
    if (missing === undefined || demo.process.exitCode !== 1 || process.env.CI) throw error;
    console.warn(`SKIPPED: ${expect.getState().currentTestName}: ${missing}`);
    return undefined;
  }
}

async function orderReaches(demo: DemoFile, status: string, key: string): Promise<void> {
  const authorization = `Bearer ${demo.tokens.customer}`;
  const body = JSON.stringify({ items: [{ productId: demo.products.plenty, quantity: 1 }] });
  // While a service is away the gateway refuses; the same key makes asking again the same order.
  const orderId = await until("the order is accepted", async () => {
    const headers = { authorization, "content-type": "application/json", "idempotency-key": key };
    const answer = await fetch(`${demo.api}/orders`, { method: "POST", headers, body });
    return answer.status === 202 && ((await answer.json()) as { orderId: string }).orderId;
  });
  await until(`the order is ${status}`, async () => {
    const answer = await fetch(`${demo.api}/orders/${orderId}`, { headers: { authorization } });
    return answer.ok && ((await answer.json()) as { status: string }).status === status;
  });
}

test.each([
  { name: "cluster", args: ["--embedded-bus"], bus: "postgres" },
  { name: "stack", args: [], bus: "kafka" },
])(
  "npm run $name: a killed service comes back under a new process id, and an order goes through",
  async ({ args, bus }) => {
    const dataDir = newFolder();
    const demo = startDemo({ command: ["stack.ts", ...args], dataDir });
    const file = await readyWhereAvailable(demo);
    if (file === undefined) return;
    expect(file.kafkaBrokers === undefined).toBe(bus === "postgres");
    expect(Object.keys(file.pids)).toEqual(
      expect.arrayContaining(["order", "product", "customer", "saga", "gateway"]),
    );
    await orderReaches(file, "created", "before-the-kill");

    const killed = file.pids.product ?? 0;
    process.kill(killed, "SIGKILL");
    const now = await until("demo.json names the new process", () => {
      const found = readDemoFile(dataDir);
      return found?.pids.product !== killed && found;
    });
    expect(now.pids).toEqual({ ...file.pids, product: expect.any(Number) });
    expect(demo.output()).toContain(`product (process ${killed}) was ended by SIGKILL; starts again in`);
    await orderReaches(file, "created", "after-the-kill");

    const verified = await runScript(["verify.ts"], { DATA_DIR: dataDir });
    expect(verified).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^verify: all \d+ checks passed$/m),
    });
    expect(verified.output).toMatch(new RegExp(`^ok +${bus} bus round trip`, "m"));
    expect(verified.output).toMatch(/^ok +NATS round trip/m);

    await expect(demo.end("SIGINT")).resolves.toBe(0);
    expect(Object.values(now.pids).filter(exists)).toEqual([]);
  },
  180_000,
);

test("when the stack itself is killed by force, its services end, and the next start has its ports back", async () => {
  const dataDir = newFolder();
  const demo = startDemo({ command: ["stack.ts", "--embedded-bus"], dataDir });
  const file = await readyWhereAvailable(demo);
  if (file === undefined) return;
  await demo.end("SIGKILL");
  const { port } = new URL(file.api);
  const next = startDemo({ command: ["stack.ts", "--embedded-bus"], dataDir, env: { PORT: port } });
  await expect(next.ready()).resolves.toMatchObject({ api: file.api });
  expect(Object.values(file.pids).filter(exists)).toEqual([]);
  await expect(next.end("SIGTERM")).resolves.toBe(0);
}, 120_000);

test("verify fails, and says which check, where a migration is missing", async () => {
  const dataDir = newFolder();
  const demo = startDemo({ command: ["start.ts"], dataDir });
  await demo.ready();
  const env = { DATA_DIR: dataDir };
  await expect(runScript(["migrate.ts", "down", "payment"], env)).resolves.toMatchObject({ code: 0 });
  const failed = await runScript(["verify.ts"], env);
  expect(failed).toMatchObject({
    code: 1,
    output: expect.stringMatching(/^FAIL +database payment: .* lacks /m),
  });
  await expect(runScript(["migrate.ts"], env)).resolves.toMatchObject({ code: 0 });
  await expect(runScript(["verify.ts"], env)).resolves.toMatchObject({ code: 0 });
  await expect(runScript(["migrate.ts", "down"], env)).resolves.toMatchObject({ code: 2 });
  await demo.end("SIGTERM");
}, 120_000);
