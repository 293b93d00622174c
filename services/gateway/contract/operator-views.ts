import type {
  DeadLetterView,
  NotificationEndpoint,
  NotificationView,
  OperationDone,
  RedriveAnswer,
  TrailEntry,
  TransactionView,
} from "../../../lib/contracts.ts";
import { DATABASE_NAMES, SERVICE_NAMES, type ServiceName } from "../../../lib/settings.ts";
import { about, count, flag, id, like, list, object, oneOf, only, text, time } from "./json-schema.ts";
import { reason, transactionFields } from "./views.ts";

/** What operators are answered. */

export const operatedTransaction = object<TransactionView>(
  {
    ...transactionFields,
    stuck: about("A retry limit is used up: it is still retried, slowly.", like(false, flag)),
  },
  { error: reason },
);

export const operationDone = object<OperationDone>({
  id,
  action: like("retry", oneOf(["retry", "skip", "compensate", "force-cancel"])),
  done: only(true),
});

export const deadLetter = object<DeadLetterView>(
  {
    letterId: id,
    source: about(
      "The consumer group that put the message aside, or `outbox`: the bus refused an event.",
      like("product-service-group", text),
    ),
    topic: like("oms.saga.commands", text),
    eventType: like("RESERVE_STOCK", text),
    error: reason,
    attempts: like(5, count),
    correlationId: text,
    at: time,
    status: oneOf(["OPEN", "REDRIVEN"]),
    redrives: like(0, count),
  },
  { redriveError: text, redrivenAt: time },
);

export const redriveAnswer = object<RedriveAnswer>({
  redriven: list(id),
  failed: like([], list(object<RedriveAnswer["failed"][number]>({ letterId: id, error: reason }))),
});

export const revocation = object<{ subject: string; version: number }>({
  subject: text,
  version: about("The least version that is let in.", like(1, count)),
});

export const trailEntry = object<TrailEntry>(
  {
    service: about("Whose trail it is.", oneOf(DATABASE_NAMES)),
    sequence: about("Its place in that trail.", like(1, count)),
    at: time,
    actor: about("The subject of a token, or the part of the system that acted by itself.", text),
    action: like("operator.retry", text),
    target: like("saga 01990000-0000-7000-8000-0000000000f2", text),
    detail: like(
      { reason: "the product's stock was repaired", result: "done" },
      { type: "object", additionalProperties: true },
    ),
    hash: about("Covers the entry and the hash before it.", text),
  },
  { correlationId: text },
);

export const notification = object<NotificationView>(
  {
    notificationId: about("`webhook-id` of the request.", id),
    orderId: id,
    type: like("order.paid", text),
    status: about(
      "SKIPPED: it came while notifications were disabled.",
      like("DELIVERED", oneOf(["PENDING", "DELIVERED", "FAILED", "SKIPPED"])),
    ),
    attempts: like(1, count),
    createdAt: time,
  },
  {
    dueAt: about("When it is tried next.", { type: "string", format: "date-time" }),
    lastStatus: about("What the last attempt was answered.", like(200, count)),
    lastError: text,
    endedAt: time,
  },
);

export const notificationEndpoint = object<NotificationEndpoint>(
  {
    state: about(
      "off: NOTIFICATION_URL is not set. disabled: nothing got through for too long.",
      like("active", oneOf(["off", "active", "failing", "disabled"])),
    ),
    pending: like(0, count),
  },
  {
    url: like("https://shop.example/hooks", text),
    failingSince: { type: "string", format: "date-time" },
    disabledAt: { type: "string", format: "date-time" },
    lastError: text,
  },
);

export const armedFaults = object<{ faults: string; service?: ServiceName }>(
  { faults: like("call.order.tryPay.before-send=throw", text) },
  { service: oneOf(SERVICE_NAMES) },
);
