import { type Logger, ServiceBroker } from "moleculer";
import pino from "pino";
import { type Config, loadConfig } from "../../lib/config.ts";
import { defineService } from "../../lib/define.ts";
import { errorFields, log, pinoOptions } from "../../lib/logging.ts";
import { brokerOptions } from "../../moleculer.config.ts";

const settings = (env: Record<string, string> = {}): Config => loadConfig({ LOG_LEVEL: "fatal", ...env });

const CLUSTER_SECRETS = "a secret of the cluster that is long enough";

test("calls have a deadline, nothing is repeated behind our back, and contexts are waited for", () => {
  expect(brokerOptions(settings({ REQUEST_TIMEOUT_MS: "1234", SHUTDOWN_TIMEOUT_MS: "4321" }))).toMatchObject({
    requestTimeout: 1_234,
    retryPolicy: { enabled: false },
    maxCallLevel: 20,
    heartbeatInterval: 2,
    heartbeatTimeout: 8,
    tracking: { enabled: true, shutdownTimeout: 4_321 },
  });
});

test("all of Moleculer's middlewares stay but the one that counts every call", () => {
  const { middlewares = [] } = brokerOptions(settings());
  const names = middlewares.filter((one) => typeof one === "string");
  expect([...names, "Metrics"].sort()).toEqual([...ServiceBroker.INTERNAL_MIDDLEWARES].sort());
});

test("a call whose answer never came does not hold up the stop", async () => {
  const start = async (NODE_ID: string, REQUEST_TIMEOUT_MS: string, handler: () => unknown) => {
    const env = { NODE_ID, INTERNAL_PORT: "auto", REQUEST_TIMEOUT_MS, SHUTDOWN_TIMEOUT_MS: "30000" };
    const options = { ...brokerOptions(settings(env)), skipProcessEventRegistration: true };
    const broker = new ServiceBroker({ ...options, transporter: { type: "Fake" } });
    broker.createService(
      defineService()({ name: NODE_ID, actions: { call: { callers: ["order"], handler } } }),
    );
    await broker.start();
    return broker;
  };
  const answer = Promise.withResolvers<void>();
  const caller = await start("caller", "100", () => undefined);
  const callee = await start("callee", "60000", () => answer.promise);
  await caller.waitForServices("callee", 5_000, 20);
  await expect(caller.call("callee.call", {}, { caller: "order" })).rejects.toMatchObject({
    type: "REQUEST_TIMEOUT",
  });
  const begin = performance.now();
  await caller.stop();
  expect(performance.now() - begin).toBeLessThan(5_000);
  answer.resolve();
  await callee.stop();
});

test("who has started is known to the others, without a second in between", async () => {
  const start = async (NODE_ID: string) => {
    const env = settings({ NODE_ID, INTERNAL_PORT: "auto" });
    const options = { ...brokerOptions(env), skipProcessEventRegistration: true };
    const broker = new ServiceBroker({ ...options, transporter: { type: "Fake" } });
    const handler = () => "answered";
    broker.createService(
      defineService()({ name: NODE_ID, actions: { call: { callers: ["order"], handler } } }),
    );
    await broker.start();
    return broker;
  };
  const [caller, late] = [await start("caller"), await start("late")];
  await expect(caller.call("late.call", {}, { caller: "order" })).resolves.toBe("answered");
  await Promise.all([caller.stop(), late.stop()]);
});

test("without a transporter all services are in one process", () => {
  expect(brokerOptions(settings()).transporter).toBeNull();
});

test("NATS is given up neither on a half-open connection nor on changed credentials", () => {
  expect(
    brokerOptions(settings({ TRANSPORTER: "nats://127.0.0.1:4222", CLUSTER_SECRETS })).transporter,
  ).toMatchObject({
    type: "NATS",
    options: {
      servers: ["127.0.0.1:4222"],
      pingInterval: 5_000,
      maxPingOut: 2,
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true,
    },
  });
  expect(
    brokerOptions(settings({ TRANSPORTER: "tls://nats:4222", CLUSTER_SECRETS })).transporter,
  ).toHaveProperty("options.tls");
});

test("Moleculer's runner cannot put the bare address in the place of those settings", () => {
  const options = brokerOptions(settings({ TRANSPORTER: "nats://127.0.0.1:4222", CLUSTER_SECRETS }));
  Reflect.set(options, "transporter", "nats://127.0.0.1:4222");
  expect({ ...options }.transporter).toHaveProperty("options.pingInterval");
});

/** What a log line holds, by the very options that the broker gets. */
function linesOf(write: (logger: Logger) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(pino(pinoOptions(settings()), { write: (line) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line));
}

test("a line carries what it is about", () => {
  const subject = { correlationId: "c-1", orderId: "o-1", sagaId: "s-1" };
  const [line] = linesOf((logger) => log(logger, subject).info("order drafted", { lines: 2 }));
  expect(line).toMatchObject({ level: "info", msg: "order drafted", ...subject, lines: 2 });
});

test("what Moleculer writes after the message is kept: its error, its correlation id", () => {
  const lines = linesOf((logger) => {
    logger.warn("Request 'a.b' is timed out.", { requestID: "c-1", timeout: 5 });
    logger.error("Unable to start all services.", new Error("port taken"));
    logger.info("text %s", "more");
  });
  expect(lines).toMatchObject([
    { correlationId: "c-1", timeout: 5, msg: "Request 'a.b' is timed out." },
    { err: { message: "port taken" }, msg: "Unable to start all services." },
    { msg: "text more" },
  ]);
});

test("a line of a context carries its correlation id", async () => {
  const broker = new ServiceBroker({ logger: false });
  const seen: Record<string, unknown>[] = [];
  broker.createService({
    name: "speaker",
    actions: {
      speak(ctx) {
        seen.push(...linesOf((logger) => log(logger, ctx, { orderId: "o-1" }).info("spoken")));
      },
    },
  });
  await broker.start();
  await broker.call("speaker.speak", {}, { meta: { correlationId: "c-1" } });
  await broker.stop();
  expect(seen).toMatchObject([{ correlationId: "c-1", orderId: "o-1", msg: "spoken" }]);
});

test("an error is told by a list of its fields, for PostgreSQL puts values of the row into others", () => {
  const cause = Object.assign(new Error("duplicate key"), {
    code: "23505",
    detail: "Key (email)=(a@b.c) already exists.",
  });
  const error = Object.assign(new Error("not stored", { cause }), { data: { actual: "a@b.c" } });
  const [line] = linesOf((logger) => log(logger, {}).error("failed", { err: error }));
  expect(line?.err).toMatchObject({
    message: "not stored",
    cause: { message: "duplicate key", code: "23505" },
  });
  expect(JSON.stringify(line)).not.toContain("a@b.c");
  expect(errorFields("text")).toEqual({ message: "text" });
});

test("fields that hold secrets or personal data are blanked, should anybody log them, and no others", () => {
  const given = {
    authorization: "Bearer x",
    order: { shippingAddress: { name: "N. N." }, lines: 2 },
    none: null,
  };
  const kept = structuredClone(given);
  const [line] = linesOf((logger) => log(logger, {}).info("careless", given));
  expect(JSON.stringify(line)).not.toMatch(/Bearer|N\. N\./);
  expect(line).toMatchObject({ order: { lines: 2 }, none: null });
  // Whoever logs goes on with what they have.
  expect(given).toEqual(kept);
});
