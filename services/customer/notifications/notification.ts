import { createHmac } from "node:crypto";
import type { DomainEvent, EventType } from "../../../lib/events.ts";

/** What is told of orders to the outside, and how it is signed (Standard Webhooks, standardwebhooks.com). */

export const NOTIFIED = [
  "ORDER_CREATED",
  "ORDER_CONFIRMED",
  "ORDER_PAID",
  "ORDER_COMPLETED",
  "ORDER_CANCELLATION_REQUESTED",
  "ORDER_CANCELLED",
] as const satisfies readonly EventType[];

type OrderEvent = Extract<DomainEvent, { eventType: (typeof NOTIFIED)[number] }>;

export interface NewNotification {
  readonly eventId: string;
  readonly orderId: string;
  readonly version: number;
  readonly type: string;
  readonly at: string;
  readonly body: string;
}

export function isNotified(event: DomainEvent): event is OrderEvent {
  return NOTIFIED.some((type) => type === event.eventType);
}

/** Ids, amounts and codes: what our events say of an order, and nothing personal. */
export function notificationOf(event: OrderEvent): NewNotification {
  const { eventId, aggregateVersion: version, eventType, timestamp: at, correlationId, data } = event;
  const type = eventType.toLowerCase().replace("_", ".");
  const body = JSON.stringify({ id: eventId, type, timestamp: at, version, correlationId, data });
  return { eventId, orderId: data.orderId, version, type, at, body };
}

interface Signed {
  readonly eventId: string;
  readonly body: string;
}

/** One signature for each secret: who receives knows one of them, also while it is being replaced. */
export function signatureHeaders(
  { eventId, body }: Signed,
  secrets: readonly string[],
  atSeconds: number,
): Readonly<Record<string, string>> {
  const signed = `${eventId}.${atSeconds}.${body}`;
  const signatures = secrets.map(
    (secret) => `v1,${createHmac("sha256", keyOf(secret)).update(signed).digest("base64")}`,
  );
  return {
    "webhook-id": eventId,
    "webhook-timestamp": String(atSeconds),
    "webhook-signature": signatures.join(" "),
  };
}

const PREFIX = "whsec_";

/** As the standard has it, base64 after `whsec_`; any other text stands for itself. */
function keyOf(secret: string): Buffer {
  return secret.startsWith(PREFIX)
    ? Buffer.from(secret.slice(PREFIX.length), "base64")
    : Buffer.from(secret, "utf8");
}

const RETRY_FIRST_MS = 1_000;

/** When an attempt that failed is repeated: doubled each time up to the most, and not at the same time as all others. */
export function retryDelayMs(attempts: number, maxMs: number, random = Math.random): number {
  const delayMs = Math.min(maxMs, RETRY_FIRST_MS * 2 ** Math.min(attempts - 1, 30));
  return Math.round(delayMs * (0.75 + random() / 2));
}
