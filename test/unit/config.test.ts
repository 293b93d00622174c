import { loadConfig } from "../../lib/config.ts";

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
