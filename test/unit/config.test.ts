import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../lib/config.ts";
import { SETTINGS } from "../../lib/settings.ts";
import { PAYMENT_POLL_MS } from "../../services/payment/payment.workers.ts";

/** Settings that hold a list. */

test.each([
  ["nats://a:4222", "nats://a:4222"],
  ["nats://a:4222,nats://b:4222", "nats://a:4222,nats://b:4222"],
  ["tls://a:4222, tls://user:word@b:4222", "tls://a:4222,tls://user:word@b:4222"],
])("TRANSPORTER=%s names the servers of one cluster", (given, read) => {
  expect(loadConfig({ TRANSPORTER: given }).TRANSPORTER).toBe(read);
});

test.each(["http://a:4222", "nats://a:4222,tls://b:4222", "nats://a:4222,", "nats://a:4222,b:4222"])(
  "TRANSPORTER=%s is refused",
  (given) => {
    expect(() => loadConfig({ TRANSPORTER: given })).toThrow(
      expect.objectContaining({ type: "CONFIG_INVALID", setting: "TRANSPORTER" }),
    );
  },
);

describe("a secret", () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-secrets-"));
  const file = join(folder, "secret");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const long = "0123456789abcdef0123456789abcdef";

  test("may stand in a file, with a line end", () => {
    writeFileSync(file, `${long}, ${long}x\n`);
    expect(loadConfig({ CLUSTER_SECRETS_FILE: file }).CLUSTER_SECRETS).toEqual([long, `${long}x`]);
    writeFileSync(file, "postgres://me:word@db/oms\n");
    expect(loadConfig({ DATABASE_URL_FILE: file }).DATABASE_URL).toBe("postgres://me:word@db/oms");
  });

  test.each([
    ["given twice", { CLUSTER_SECRETS: long, CLUSTER_SECRETS_FILE: file }, "CLUSTER_SECRETS"],
    ["whose file is missing", { CLUSTER_SECRETS_FILE: join(folder, "none") }, "CLUSTER_SECRETS_FILE"],
    ["that is short", { CLUSTER_SECRETS: `${long},hunter2` }, "CLUSTER_SECRETS"],
    ["in a URL that is none of ours", { DATABASE_URL: "mysql://me:hunter2@db/oms" }, "DATABASE_URL"],
    ["in one of many URLs", { TRANSPORTER: "nats://a,http://me:hunter2@b" }, "TRANSPORTER"],
  ])("%s is refused, and not repeated", (_what, env, setting) => {
    const refusal = expect.objectContaining({ setting, message: expect.not.stringContaining("hunter2") });
    expect(() => loadConfig(env)).toThrow(refusal);
  });
});

test.each([
  [{ INBOX_DAYS: "30" }, "INBOX_DAYS", ["OUTBOX_DAYS", "oms.dlq"]],
  [{ OUTBOX_DAYS: "50" }, "INBOX_DAYS", ["OUTBOX_DAYS (50)"]],
  [{ INBOX_DAYS: "100" }, "SAGA_DAYS", ["INBOX_DAYS (100)"]],
  [{ IDEMPOTENCY_HOURS: "2161" }, "SAGA_DAYS", ["IDEMPOTENCY_HOURS (2161)"]],
])(
  "%p would let something happen twice, or forget it too soon: refused, and both are named",
  (env, setting, named) => {
    const problem = () => loadConfig(env);
    expect(problem).toThrow(expect.objectContaining({ type: "CONFIG_INVALID", setting }));
    for (const name of named) expect(problem).toThrow(name);
  },
);

test("ages that fit each other are taken", () => {
  const env = { INBOX_DAYS: "64", OUTBOX_DAYS: "50", SAGA_DAYS: "64", IDEMPOTENCY_HOURS: "1536" };
  expect(loadConfig(env)).toMatchObject({ INBOX_DAYS: 64, OUTBOX_DAYS: 50, SAGA_DAYS: 64 });
});

test("docs/security.md tells of no setting that does not exist", () => {
  const text = readFileSync(join(__dirname, "..", "..", "docs", "security.md"), "utf8");
  const named = [...text.matchAll(/`([A-Z]{2,}(?:_[A-Z]+)*)[=`]/g)].map(([, name = ""]) =>
    name.replace(/_FILE$/, ""),
  );
  expect(named.length).toBeGreaterThan(20);
  const known: readonly string[] = [...Object.keys(SETTINGS), "NODE_EXTRA_CA_CERTS"];
  expect(named.filter((name) => !known.includes(name) && !/^[A-Z]{2}\d*$/.test(name))).toEqual([]);
});

test("what a dead process leaves is taken over within ten seconds: leases and polls add up to less", () => {
  const settings = loadConfig({});
  const instanceMs = settings.SAGA_LEASE_MS + settings.SAGA_POLL_MS;
  // A dead member's share of the bus: its lease, and the beat of those who notice.
  const consumerMs = settings.BUS_LEASE_MS * 1.25;
  const events = settings.OUTBOX_LEASE_MS * (1 + 1 / 3) + settings.OUTBOX_POLL_MS;
  const askedOfProviderMs = settings.PAYMENT_LEASE_MS + PAYMENT_POLL_MS;
  for (const dueMs of [instanceMs, consumerMs, events, askedOfProviderMs]) expect(dueMs).toBeLessThan(10_000);
});
