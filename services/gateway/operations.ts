import type { ActionName } from "../../lib/actions.ts";
import { InvalidInputError } from "../../lib/errors.ts";
import { bodyReader, text, uuid as uuidField } from "./body-schema.ts";
import { SAGA_STATES, TRANSACTION_STATES } from "./contract/views.ts";
import { claimIfKeyed } from "./idempotency-key.ts";
import { oneOf, PAGE, type QueryOf, token, yesOrNo } from "./query.ts";
import { type ApiRequest, answerOf, type Call, idIn, ok, type Reply } from "./request.ts";

/** What operators look at and do: /ops. */

export const SAGA_QUERY = {
  state: oneOf(SAGA_STATES),
  type: oneOf(["CREATE_ORDER", "CANCEL_ORDER"]),
  stuck: yesOrNo,
  ...PAGE,
};
export const TRANSACTION_QUERY = {
  state: oneOf(TRANSACTION_STATES),
  type: oneOf(["PAY_ORDER"]),
  stuck: yesOrNo,
  ...PAGE,
};
export const LETTER_QUERY = {
  status: oneOf(["OPEN", "REDRIVEN"]),
  source: token(255),
  eventType: token(255),
  ...PAGE,
};

const reason = { ...text(1_000), min: 3, json: { examples: ["the cause is mended"] } };
export const reasonBody = bodyReader<{ reason: string }>({ reason });
interface Redrive {
  readonly letterIds?: readonly string[];
  readonly source?: string;
  readonly eventType?: string;
  readonly reason: string;
}

export const redriveBody = bodyReader<Redrive>(
  {
    letterIds: { type: "array", items: uuidField, min: 1, max: 100, unique: true, optional: true },
    source: { ...text(255), optional: true },
    eventType: { ...text(255), optional: true },
    reason,
  },
  { eventType: "RESERVE_STOCK", reason: "the cause is mended" },
);

type Asked<Readers> = ApiRequest<undefined, QueryOf<Readers>>;

/** GET /ops/sagas */
export async function listSagas({ query }: Asked<typeof SAGA_QUERY>, call: Call): Promise<Reply> {
  return ok(await call("saga.list", query));
}

/** GET /ops/sagas/:sagaId */
export async function getOperatedSaga(request: ApiRequest, call: Call): Promise<Reply> {
  return ok(await call("saga.get", { sagaId: idIn(request, "sagaId", "saga") }));
}

/** GET /ops/transactions */
export async function listTransactions(
  { query }: Asked<typeof TRANSACTION_QUERY>,
  call: Call,
): Promise<Reply> {
  return ok(await call("saga.transactions", query));
}

/** GET /ops/transactions/:transactionId */
export async function getOperatedTransaction(request: ApiRequest, call: Call): Promise<Reply> {
  return ok(await call("saga.transaction", { transactionId: idIn(request, "transactionId", "transaction") }));
}

type Verb = Extract<ActionName, "saga.retry" | "saga.skip" | "saga.compensate" | "saga.forceCancel">;

/** POST /ops/sagas/:sagaId/… and /ops/transactions/:transactionId/…, each with its reason. */
export const operate =
  (action: Verb, target: "saga" | "transaction", operation: string) =>
  async (request: ApiRequest<{ reason: string }>, call: Call): Promise<Reply> => {
    const params = { id: idIn(request, `${target}Id`, target), ...request.body };
    const actor = request.principal.subject;
    const claim = claimIfKeyed(request, operation, params);
    return answerOf(await call(action, { ...params, target, actor, ...claim }));
  };

/** GET /ops/dead-letters */
export async function listDeadLetters({ query }: Asked<typeof LETTER_QUERY>, call: Call): Promise<Reply> {
  return ok(await call("saga.deadLetters", query));
}

/** POST /ops/dead-letters/redrive: those named, or the oldest open ones of a source or a type. */
export async function redriveDeadLetters(request: ApiRequest<Redrive>, call: Call): Promise<Reply> {
  const { body } = request;
  const { letterIds, source, eventType } = body;
  if ((letterIds === undefined) === (source === undefined && eventType === undefined)) {
    const message = "Name either letterIds, or the source or eventType whose oldest letters are meant.";
    throw new InvalidInputError([{ field: "letterIds", message }]);
  }
  const params = { ...body, ...(letterIds && { letterIds: letterIds.map((id) => id.toLowerCase()) }) };
  const claim = claimIfKeyed(request, "POST /ops/dead-letters/redrive", params);
  return answerOf(await call("saga.redrive", { ...params, actor: request.principal.subject, ...claim }));
}
