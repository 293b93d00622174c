import type { TransactionView } from "../../../lib/contracts.ts";
import type {
  DeadLetterDetails,
  DeadLetterGroup,
  DeadLetterView,
  DiscardAnswer,
  FailedLetter,
  NotificationEndpoint,
  NotificationView,
  OperationDone,
  OutboxStanding,
  PartitionStanding,
  RedriveAnswer,
  Standings,
  TrailEntry,
} from "../../../lib/operator-contracts.ts";
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

const letterFields = {
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
  status: oneOf(["OPEN", "REDRIVEN", "DISCARDED"]),
  redrives: like(0, count),
};
const letterFate = { redriveError: text, redrivenAt: time, discardedAt: time };

export const deadLetter = object<DeadLetterView>(letterFields, letterFate);

export const deadLetterDetails = object<DeadLetterDetails>(letterFields, {
  ...letterFate,
  partition: like(0, count),
  offset: like("1042", text),
  key: text,
  value: about("The message as it came.", text),
  headers: { type: "object", additionalProperties: text },
  position: about("Where a refused event stands in its outbox.", count),
  truncated: about("The message was too large: `value` is its beginning.", flag),
});

export const deadLetterGroups = object<{ items: readonly DeadLetterGroup[] }>({
  items: list(
    object<DeadLetterGroup>({
      code: like("EVENT_INVALID", text),
      topic: like("oms.saga.commands", text),
      source: like("product-service-group", text),
      letters: like(12, count),
      eventTypes: list(like("RESERVE_STOCK", text)),
      oldestAt: time,
      newestAt: time,
    }),
  ),
});

const failedLetters = like([], list(object<FailedLetter>({ letterId: id, error: reason })));
export const redriveAnswer = object<RedriveAnswer>({ redriven: list(id), failed: failedLetters });
export const discardAnswer = object<DiscardAnswer>({ discarded: list(id), failed: failedLetters });

const unreachable = like(
  [],
  list(object<Standings<never>["unreachable"][number]>({ service: text, error: reason })),
);
export const outboxes = object<Standings<OutboxStanding>>({
  items: list(
    object<OutboxStanding>({
      service: like("order", text),
      pending: about("Events that are committed and not on the bus.", count),
      lagSeconds: about("Age of the oldest of them.", count),
      refused: about("Events that the bus refuses; later ones of their aggregates wait.", count),
    }),
  ),
  unreachable,
});
export const lag = object<Standings<PartitionStanding>>({
  items: list(
    object<PartitionStanding>({
      group: like("product-service-group", text),
      topic: like("oms.saga.commands", text),
      partition: count,
      lag: about("Messages that the group has not committed.", count),
    }),
  ),
  unreachable,
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
