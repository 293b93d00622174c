import { createHmac } from "node:crypto";
import { loadConfig } from "../../lib/config.ts";
import type { DomainEvent } from "../../lib/events.ts";
import {
  isNotified,
  notificationOf,
  retryDelayMs,
  signatureHeaders,
} from "../../services/customer/notifications/notification.ts";
import { openSender } from "../../services/customer/notifications/sender.ts";
import { settledAs } from "../../services/customer/notifications/worker.ts";

/** What is told of orders, where to, how it is signed and when it is repeated. */

const event = {
  eventId: "01990000-0000-7000-8000-0000000000e1",
  eventType: "ORDER_CANCELLATION_REQUESTED",
  aggregateId: "01990000-0000-7000-8000-0000000000f1",
  aggregateType: "order",
  aggregateVersion: 4,
  timestamp: "2026-01-02T03:04:05.000Z",
  version: 1,
  correlationId: "correlation",
  data: {
    orderId: "01990000-0000-7000-8000-0000000000f1",
    customerId: "01990000-0000-7000-8000-0000000000c1",
    reason: { code: "CANCELLED_BY_CUSTOMER", message: "" },
  },
} as const satisfies DomainEvent;

test("an event of an order is told with its id, its place in the order and its data", () => {
  expect(isNotified(event)).toBe(true);
  const { body, ...row } = notificationOf(event);
  expect(row).toEqual({
    eventId: event.eventId,
    orderId: event.data.orderId,
    version: 4,
    type: "order.cancellation_requested",
    at: event.timestamp,
  });
  expect(JSON.parse(body)).toEqual({
    id: event.eventId,
    type: "order.cancellation_requested",
    timestamp: event.timestamp,
    version: 4,
    correlationId: "correlation",
    data: event.data,
  });
});

test("it is signed with each secret, whatever way that is written", () => {
  const bytes = Buffer.from("twenty-four bytes of key");
  const plain = "a secret of more than 32 characters";
  const signed = { eventId: "e-1", body: "{}" };
  const { "webhook-signature": signatures, ...others } = signatureHeaders(
    signed,
    [`whsec_${bytes.toString("base64")}`, plain],
    1_700_000_000,
  );
  expect(others).toEqual({ "webhook-id": "e-1", "webhook-timestamp": "1700000000" });
  const expected = [bytes, plain].map(
    (key) => `v1,${createHmac("sha256", key).update("e-1.1700000000.{}").digest("base64")}`,
  );
  expect(signatures).toBe(expected.join(" "));
});

const limits = { attemptsMax: 3, retryMaxMs: 60_000 };
test.each([
  [{ isGood: true, status: 204 }, 1, "DELIVERED"],
  [{ isGood: false, status: 500 }, 2, "PENDING"],
  [{ isGood: false, error: "ECONNREFUSED" }, 3, "FAILED"],
] as const)("%j at attempt %i is %s", (delivery, attempts, status) => {
  const settled = settledAs({ id: "n", attempts }, delivery, limits);
  expect(settled.status).toBe(status);
  expect(settled.delayMs > 0).toBe(status === "PENDING");
});

test("attempts wait for longer each time, up to the most, and never all for the same", () => {
  const waits = [1, 2, 3, 10, 1_000].map((attempts) => retryDelayMs(attempts, 60_000, () => 0.5));
  expect(waits).toEqual([1_000, 2_000, 4_000, 60_000, 60_000]);
  expect([retryDelayMs(1, 60_000, () => 0), retryDelayMs(1, 60_000, () => 1)]).toEqual([750, 1_250]);
});

const open = (env: NodeJS.ProcessEnv) =>
  openSender(loadConfig({ NOTIFICATION_SECRETS: "a secret of more than 32 characters", ...env }));
const refused = (setting: string) => expect.objectContaining({ type: "CONFIG_INVALID", setting });

test.each([
  [{ NOTIFICATION_URL: "http://shop.example/hooks" }, "NOTIFICATION_URL"],
  [{ NOTIFICATION_URL: "https://127.0.0.1/hooks" }, "NOTIFICATION_URL"],
  [{ NOTIFICATION_URL: "https://[::1]/hooks" }, "NOTIFICATION_URL"],
  [{ NOTIFICATION_URL: "https://2852039166/latest/meta-data" }, "NOTIFICATION_URL"],
  [{ NOTIFICATION_URL: "https://shop.example/hooks", NOTIFICATION_SECRETS: "" }, "NOTIFICATION_SECRETS"],
])("%j is refused for %s", (env, setting) => {
  expect(() => open(env)).toThrow(refused(setting));
});

test("nothing is sent where no address is set", () => expect(open({})).toBeUndefined());

test("a name that leads into our own network is found out when it is connected to", async () => {
  const sender = open({ NOTIFICATION_URL: "https://localhost:1/hooks?token=secret" });
  expect(sender?.url).toBe("https://localhost:1/hooks");
  await expect(sender?.send({ eventId: "e-1", body: "{}" })).resolves.toEqual({
    isGood: false,
    error: "localhost is not an address of the public internet",
  });
  sender?.close();
});
