import type { ActionName } from "../../lib/actions.ts";
import { factsOf } from "../../lib/errors.ts";
import type { Standings } from "../../lib/operator-contracts.ts";
import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import { bodyReader, text } from "./body-schema.ts";
import { SAGA_STATES, TRANSACTION_STATES } from "./contract/views.ts";
import { claimIfKeyed } from "./idempotency-key.ts";
import { oneOf, PAGE, type QueryOf, yesOrNo } from "./query.ts";
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

export const reason = { ...text(1_000), min: 3, json: { examples: ["the cause is mended"] } };
export const reasonBody = bodyReader<{ reason: string }>({ reason });

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

/** GET /ops/outbox: what each service has still to tell. */
export async function listOutboxes(_: ApiRequest, call: Call): Promise<Reply> {
  return ok(await askEach(async (service) => [await call(`${service}.outbox`, {})]));
}

/** GET /ops/lag: what each service has still to hear. */
export async function listLag(_: ApiRequest, call: Call): Promise<Reply> {
  return ok(await askEach(async (service) => (await call(`${service}.lag`, {})).partitions));
}

/** An operator looks when something is away: what the others say is answered all the same. */
async function askEach<Item>(
  ask: (service: DatabaseName) => Promise<readonly Item[]>,
): Promise<Standings<Item>> {
  const answers = await Promise.allSettled(DATABASE_NAMES.map(ask));
  const items = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  const unreachable = answers.flatMap((answer, index) => {
    if (answer.status === "fulfilled") return [];
    const { type: code, message } = factsOf(answer.reason);
    return [{ service: DATABASE_NAMES[index] ?? "", error: { code, message: message.slice(0, 500) } }];
  });
  return { items, unreachable };
}
