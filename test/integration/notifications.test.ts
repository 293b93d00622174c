import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";
import { type OrderWorld, openOrders } from "./order.world.ts";

/** The moves of orders as an outside party is told of them by real requests, and as it answers them well and badly. */

const server = useServer();
const SECRETS = ["the secret that is being replaced now", "the secret that is to be used then"] as const;

interface Received {
  readonly type: string;
  readonly orderId: string;
  readonly at: number;
}

type Answer = (received: Received, response: ServerResponse) => void;
const answer =
  (status: number): Answer =>
  (_, response) =>
    void response.writeHead(status).end();
const good = answer(204);

const received: Received[] = [];
const forged: string[] = [];
let reply: Answer = good;
let world: OrderWorld;

const receiver = createServer((request, response) => void receive(request, response));

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = Buffer.concat(await request.toArray()).toString();
  const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signatures } = request.headers;
  // Who receives knows one of the secrets.
  const own = createHmac("sha256", SECRETS[1]).update(`${id}.${time}.${body}`).digest("base64");
  if (!String(signatures).split(" ").includes(`v1,${own}`)) forged.push(body);
  const { type, data } = JSON.parse(body) as { type: string; data: { orderId: string } };
  const told = { type, orderId: data.orderId, at: performance.now() };
  received.push(told);
  reply(told, response);
}

beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  const { port } = receiver.address() as AddressInfo;
  world = await openOrders(server, {
    NOTIFICATION_URL: `http://127.0.0.1:${port}/hooks`,
    NOTIFICATION_SECRETS: SECRETS.join(","),
    NOTIFICATION_ALLOW_PRIVATE: "true",
    NOTIFICATION_TIMEOUT_MS: "1000",
    NOTIFICATION_ATTEMPTS_MAX: "3",
    NOTIFICATION_RETRY_MAX_SECONDS: "1",
    NOTIFICATION_DISABLE_MINUTES: "60",
  });
}, 60_000);

afterAll(async () => {
  await world?.stop();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

const logOf = async (orderId: string) => {
  const { items } = await world.call("customer.notifications", { orderId });
  return [...items].reverse();
};
const typesOf = (orderId: string) =>
  received.filter((one) => one.orderId === orderId).map(({ type }) => type);
const endpoint = () => world.call("customer.notificationEndpoint", {});

/** Once nothing of the order waits any more. */
const settled = (orderId: string) =>
  until(
    "the order's notifications are settled",
    async () => {
      const log = await logOf(orderId);
      return log.length === 2 && log.every(({ status }) => status !== "PENDING") && log;
    },
    { timeoutMs: 60_000 },
  );

test("each move is told once, in order, signed, and noted", async () => {
  const orderId = await world.created();
  const log = await settled(orderId);
  expect(log).toMatchObject([
    { type: "order.created", status: "DELIVERED", attempts: 1, lastStatus: 204 },
    { type: "order.confirmed", status: "DELIVERED", attempts: 1, lastStatus: 204 },
  ]);
  expect(typesOf(orderId)).toEqual(["order.created", "order.confirmed"]);
  expect(forged).toEqual([]);
  await expect(endpoint()).resolves.toMatchObject({ state: "active", pending: 0 });
});

test("what fails is repeated, and what follows of its order waits for it", async () => {
  const answers = [answer(500), answer(302)];
  reply = (told, response) => (answers.shift() ?? good)(told, response);
  const orderId = await world.created();
  expect(await settled(orderId)).toMatchObject([
    { status: "DELIVERED", attempts: 3 },
    { status: "DELIVERED", attempts: 1 },
  ]);
  const [first, second] = ["order.created", "order.confirmed"];
  expect(typesOf(orderId)).toEqual([first, first, first, second]);
});

test("who does not answer in time, or refuses for ever, holds nobody up for ever", async () => {
  // The first move is never answered well; the others are.
  reply = (told, response) => {
    if (told.type !== "order.created") good(told, response);
    else if (typesOf(told.orderId).length > 1) answer(400)(told, response);
  };
  const orderId = await world.created();
  expect(await settled(orderId)).toMatchObject([
    { status: "FAILED", attempts: 3, lastStatus: 400, lastError: "answered 400" },
    { status: "DELIVERED" },
  ]);
  reply = good;
});

test("while most of it fails, no more than one attempt at a time finds out whether it still does", async () => {
  reply = answer(503);
  const orders = await Promise.all(Array.from({ length: 6 }, () => world.created()));
  const since = received.length;
  const gaps = await until("it is left alone", () => {
    const times = received.slice(since).map(({ at }) => at);
    const found = times.slice(1).map((at, index) => at - (times[index] ?? at));
    return found.some((gap) => gap > 1_900) && found;
  });
  expect(gaps.length).toBeLessThan(20);
  reply = good;
  for (const orderId of orders) await settled(orderId);
});

test("when nothing got through for long enough it is disabled, and an operator enables it", async () => {
  reply = answer(503);
  const waiting = await world.created();
  await until("it fails", async () => (await endpoint()).state === "failing");
  await world.sql(
    "customer",
    "update notification_endpoint set failing_since = now() - interval '61 minutes'",
  );
  await until("it is disabled", async () => (await endpoint()).state === "disabled", { timeoutMs: 60_000 });
  const before = received.length;
  const skipped = await world.created();
  const log = await until("what comes is left out", async () => {
    const found = await logOf(skipped);
    return found.length === 2 && found;
  });
  expect(log.map(({ status }) => status)).toEqual(["SKIPPED", "SKIPPED"]);
  expect(received.length).toBe(before);

  reply = good;
  const reason = "their server was replaced";
  await world.call("customer.enableNotifications", { actor: "somebody", reason });
  expect((await settled(waiting)).at(-1)).toMatchObject({ status: "DELIVERED" });
  await expect(endpoint()).resolves.toMatchObject({ state: "active" });
  const trail = await world.call("customer.trail", { action: "notifications", rows: 10 });
  expect(trail.items).toMatchObject([
    { action: "notifications.enable", actor: "somebody", detail: { reason } },
    { action: "notifications.disable", actor: "customer", detail: { reason: "answered 503" } },
  ]);
}, 120_000);

test("who says that it is gone is believed at once", async () => {
  reply = answer(410);
  await world.created();
  await until("it is disabled", async () => (await endpoint()).state === "disabled");
  reply = good;
  await world.call("customer.enableNotifications", { actor: "somebody", reason: "it came back" });
  await until("all is told", async () => (await endpoint()).pending === 0, { timeoutMs: 60_000 });
}, 120_000);
