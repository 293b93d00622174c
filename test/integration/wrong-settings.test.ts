/** A wrong setting ends the start at once, with one line that names it, and leaves nothing behind. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runScript } from "../support/demo-process.ts";

const dataDir = join(mkdtempSync(join(tmpdir(), "holdfast-settings-")), "data");

afterAll(() => rmSync(join(dataDir, ".."), { recursive: true, force: true }));

test.each([
  { script: "start", setting: "PORT", value: "abc" },
  { script: "start", setting: "PORT", value: "65536" },
  { script: "start", setting: "PG_PORT", value: "-1" },
  { script: "start", setting: "LOG_LEVEL", value: "loud" },
  { script: "start", setting: "SAGA_LEASE_MS", value: "1" },
  { script: "start", setting: "DATABASE_URL", value: "mysql://localhost/oms" },
  { script: "start", setting: "SERVICES", value: "order,ordr" },
  { script: "stack", setting: "KAFKA_BROKERS", value: "nonsense" },
  { script: "stack", setting: "KAFKA_BROKERS", value: "127.0.0.1:9092;127.0.0.1:9093" },
  { script: "stack", setting: "TRANSPORTER", value: "http://127.0.0.1:4222" },
  { script: "stack", setting: "KAFKA_PORT", value: "ninety" },
  { script: "serve", setting: "SHUTDOWN_TIMEOUT_MS", value: "soon" },
])("$setting=$value ends $script with one line that names it", async ({ script, setting, value }) => {
  const { code, output } = await runScript([`${script}.ts`], { DATA_DIR: dataDir, [setting]: value });
  expect(code).toBe(2);
  expect(output).toMatch(/^[^\n]+\n$/);
  expect(output).toContain(`${script}: ${setting}: "${value}" is not `);
  expect(existsSync(dataDir)).toBe(false);
});

test("a service on NATS without CLUSTER_SECRETS does not start, nor with one that is short or shown", async () => {
  const env = {
    DATA_DIR: dataDir,
    SERVICES: "order",
    INTERNAL_PORT: "auto",
    TRANSPORTER: "nats://127.0.0.1:1",
  };
  const bare = await runScript(["serve.ts"], env);
  expect([bare.code, bare.output]).toEqual([2, expect.stringMatching(/^serve: CLUSTER_SECRETS: [^\n]+\n$/)]);
  const short = await runScript(["serve.ts"], { ...env, CLUSTER_SECRETS: "hunter2" });
  expect([short.code, short.output]).toEqual([
    2,
    expect.stringMatching(/^serve: CLUSTER_SECRETS: [^\n]+\n$/),
  ]);
  expect(short.output).not.toContain("hunter2");
});

test.each(["JWT_KEYS", "DATABASE_URL"])("a service without %s says so in one line", async (missing) => {
  const env = {
    DATA_DIR: dataDir,
    SERVICES: missing === "JWT_KEYS" ? "gateway" : "order",
    PORT: "auto",
    INTERNAL_PORT: "auto",
    LOG_LEVEL: "fatal",
    DATABASE_URL: missing === "JWT_KEYS" ? "postgres://127.0.0.1:1/oms" : "",
    JWT_KEYS: "",
  };
  const { code, output } = await runScript(["serve.ts"], env);
  expect(code).toBe(2);
  expect(output).toMatch(new RegExp(`^serve: \\w*${missing}: [^\\n]+\\n$`));
});
