import type {
  DeadLetterView,
  OperationDone,
  OperatorActionView,
  RedriveAnswer,
  TransactionView,
} from "../../../lib/contracts.ts";
import { SERVICE_NAMES, type ServiceName } from "../../../lib/settings.ts";
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

export const armedFaults = object<{ faults: string; service?: ServiceName }>(
  { faults: like("call.order.tryPay.before-send=throw", text) },
  { service: oneOf(SERVICE_NAMES) },
);

export const operatorAction = object<OperatorActionView>({
  actionId: id,
  actor: text,
  action: like("redrive", text),
  targetType: oneOf(["saga", "transaction", "dead-letter"]),
  targetId: id,
  reason: like("the product's stock was repaired", text),
  result: like("done", text),
  at: time,
});
