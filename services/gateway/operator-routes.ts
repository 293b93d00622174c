import {
  getOperatedSaga,
  getOperatedTransaction,
  listDeadLetters,
  listDeeds,
  listSagas,
  listTransactions,
  operate,
  redriveDeadLetters,
} from "./operations.ts";
import type { TokenRoute } from "./routes.ts";

const OPERATOR = ["operator"] as const;

const get = (path: string, action: TokenRoute["action"], handle: TokenRoute["handle"]): TokenRoute => ({
  method: "GET",
  path,
  roles: OPERATOR,
  action,
  handle,
});

function verb(
  path: string,
  target: "saga" | "transaction",
  action: Parameters<typeof operate>[0],
): TokenRoute {
  return { method: "POST", path, roles: OPERATOR, action, handle: operate(action, target, `POST ${path}`) };
}

/** /ops: what is stuck, and how it is freed. */
export const OPERATOR_ROUTES: readonly TokenRoute[] = [
  get("/ops/sagas", "saga.list", listSagas),
  get("/ops/sagas/:id", "saga.get", getOperatedSaga),
  verb("/ops/sagas/:id/retry", "saga", "saga.retry"),
  verb("/ops/sagas/:id/skip", "saga", "saga.skip"),
  verb("/ops/sagas/:id/compensate", "saga", "saga.compensate"),
  get("/ops/transactions", "saga.transactions", listTransactions),
  get("/ops/transactions/:id", "saga.transaction", getOperatedTransaction),
  verb("/ops/transactions/:id/retry", "transaction", "saga.retry"),
  verb("/ops/transactions/:id/force-cancel", "transaction", "saga.forceCancel"),
  get("/ops/dead-letters", "saga.deadLetters", listDeadLetters),
  {
    method: "POST",
    path: "/ops/dead-letters/redrive",
    roles: OPERATOR,
    action: "saga.redrive",
    handle: redriveDeadLetters,
  },
  get("/ops/audit", "saga.deeds", listDeeds),
];
