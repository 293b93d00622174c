import { type JsonSchema, pageOf } from "./contract/json-schema.ts";
import * as views from "./contract/operator-views.ts";
import type { ProblemCode } from "./contract/problems.ts";
import { type Route, route } from "./contract/route.ts";
import { saga } from "./contract/views.ts";
import { DEAD_LETTER_ROUTES } from "./dead-letter-routes.ts";
import { armFaults, faultsBody } from "./faults.ts";
import {
  enableBody,
  enableNotifications,
  getEndpoint,
  listNotifications,
  NOTIFICATION_QUERY,
} from "./notifications.ts";
import {
  getOperatedSaga,
  getOperatedTransaction,
  listLag,
  listOutboxes,
  listSagas,
  listTransactions,
  operate,
  reasonBody,
  SAGA_QUERY,
  TRANSACTION_QUERY,
} from "./operations.ts";
import { revocationBody, revokeTokens } from "./tokens.ts";
import { listTrails, TRAIL_QUERY } from "./trail.ts";

const looking = { tag: "operations", method: "GET", roles: ["operator"], status: 200 } as const;
const doing = { ...looking, method: "POST", key: "optional" } as const;
const listing = (items: JsonSchema) =>
  ({ ...looking, answer: pageOf(items), problems: ["CURSOR_INVALID"] as readonly ProblemCode[] }) as const;

function verb(
  id: string,
  summary: string,
  path: string,
  target: "saga" | "transaction",
  action: Parameters<typeof operate>[0],
): Route {
  const notFound = target === "saga" ? "SAGA_NOT_FOUND" : "TRANSACTION_NOT_FOUND";
  return route({
    ...doing,
    id,
    summary,
    path,
    action,
    answer: views.operationDone,
    body: reasonBody,
    problems: [notFound, "OPERATION_NOT_POSSIBLE"],
    handle: operate(action, target, `POST ${path}`),
  });
}

const SAGA_ROUTES: readonly Route[] = [
  route({
    ...listing(saga),
    id: "listSagas",
    summary: "List sagas, newest first",
    path: "/ops/sagas",
    action: "saga.list",
    query: SAGA_QUERY,
    handle: listSagas,
  }),
  route({
    ...looking,
    id: "getOperatedSaga",
    summary: "Look at a saga",
    path: "/ops/sagas/:sagaId",
    action: "saga.get",
    answer: saga,
    problems: ["SAGA_NOT_FOUND"],
    handle: getOperatedSaga,
  }),
  verb("retrySaga", "Try the step in hand again, now", "/ops/sagas/:sagaId/retry", "saga", "saga.retry"),
  verb("skipSaga", "Take the step in hand for done", "/ops/sagas/:sagaId/skip", "saga", "saga.skip"),
  verb(
    "compensateSaga",
    "Undo a saga that has not reached its pivot",
    "/ops/sagas/:sagaId/compensate",
    "saga",
    "saga.compensate",
  ),
];

const TRANSACTION_ROUTES: readonly Route[] = [
  route({
    ...listing(views.operatedTransaction),
    id: "listTransactions",
    summary: "List transactions, newest first",
    path: "/ops/transactions",
    action: "saga.transactions",
    query: TRANSACTION_QUERY,
    handle: listTransactions,
  }),
  route({
    ...looking,
    id: "getOperatedTransaction",
    summary: "Look at a transaction",
    path: "/ops/transactions/:transactionId",
    action: "saga.transaction",
    answer: views.operatedTransaction,
    problems: ["TRANSACTION_NOT_FOUND"],
    handle: getOperatedTransaction,
  }),
  verb(
    "retryTransaction",
    "Ask the participants again, now",
    "/ops/transactions/:transactionId/retry",
    "transaction",
    "saga.retry",
  ),
  verb(
    "forceCancelTransaction",
    "Cancel what is not decided, or end a cancellation that cannot end by itself",
    "/ops/transactions/:transactionId/force-cancel",
    "transaction",
    "saga.forceCancel",
  ),
];

const NOTIFICATION_ROUTES: readonly Route[] = [
  route({
    ...listing(views.notification),
    id: "listNotifications",
    summary: "List what was told of orders to NOTIFICATION_URL, newest first",
    path: "/ops/notifications",
    action: "customer.notifications",
    query: NOTIFICATION_QUERY,
    handle: listNotifications,
  }),
  route({
    ...looking,
    id: "getNotificationEndpoint",
    summary: "Look at how telling goes",
    path: "/ops/notifications/endpoint",
    action: "customer.notificationEndpoint",
    answer: views.notificationEndpoint,
    handle: getEndpoint,
  }),
  route({
    ...looking,
    method: "POST",
    id: "enableNotifications",
    summary: "Send notifications again, after they were disabled",
    more: "What waits is tried at once. Harmless where they are enabled.",
    path: "/ops/notifications/enable",
    action: "customer.enableNotifications",
    answer: views.notificationEndpoint,
    body: enableBody,
    handle: enableNotifications,
  }),
];

/** /ops: what is stuck, and how it is freed. */
export const OPERATOR_ROUTES: readonly Route[] = [
  ...SAGA_ROUTES,
  ...TRANSACTION_ROUTES,
  ...NOTIFICATION_ROUTES,
  route({
    ...looking,
    method: "POST",
    id: "revokeTokens",
    summary: "Refuse the tokens that a subject has been given so far",
    more: "Those whose `ver` is below the version that this answers. In force everywhere within seconds.",
    path: "/ops/tokens/revoke",
    action: "customer.revokeTokens",
    answer: views.revocation,
    body: revocationBody,
    handle: revokeTokens,
  }),
  ...DEAD_LETTER_ROUTES,
  route({
    ...looking,
    method: "POST",
    id: "armFaults",
    summary: "Have nodes fail at named points",
    more: "For trying what happens then; in demo mode, or where FAULT_INJECTION is set. In place of the earlier ones; an empty text disarms them. See docs/fault-injection.md.",
    path: "/ops/faults",
    action: "faults.arm",
    answer: views.armedFaults,
    body: faultsBody,
    problems: ["FAULT_INJECTION_OFF"],
    handle: armFaults,
  }),
  route({
    ...looking,
    id: "listOutboxes",
    summary: "Look at what each service has still to tell",
    path: "/ops/outbox",
    action: "order.outbox",
    answer: views.outboxes,
    handle: listOutboxes,
  }),
  route({
    ...looking,
    id: "listLag",
    summary: "Look at what each consumer group has still to take",
    path: "/ops/lag",
    action: "order.lag",
    answer: views.lag,
    handle: listLag,
  }),
  route({
    ...listing(views.trailEntry),
    id: "listAuditTrail",
    summary: "List who did what to what, newest first",
    more: "The audit trails of all services: what operators and staff did, and what was refused. It takes all of them to answer, or the one in `service`.",
    path: "/ops/audit",
    action: "saga.trail",
    query: TRAIL_QUERY,
    handle: listTrails,
  }),
];
