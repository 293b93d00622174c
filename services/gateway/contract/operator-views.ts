import type {
  DeadLetterDetails,
  DeadLetterGroup,
  DeadLetterView,
  DiscardAnswer,
  FailedLetter,
  OperationDone,
  OperatorActionView,
  OutboxStanding,
  PartitionStanding,
  RedriveAnswer,
  Standings,
  TransactionView,
} from "../../../lib/contracts.ts";
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
