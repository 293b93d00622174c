import { reasonBody } from "./operations.ts";
import { explained, oneOf, PAGE, type QueryOf, uuid } from "./query.ts";
import { type ApiRequest, type Call, ok, type Reply } from "./request.ts";

/** What operators see of notifications, and how they have them sent again. */

export const NOTIFICATION_QUERY = {
  status: oneOf(["PENDING", "DELIVERED", "FAILED", "SKIPPED"]),
  orderId: explained("Those of one order.", uuid),
  ...PAGE,
};
export const enableBody = reasonBody;

/** GET /ops/notifications */
export async function listNotifications(
  { query }: ApiRequest<undefined, QueryOf<typeof NOTIFICATION_QUERY>>,
  call: Call,
): Promise<Reply> {
  return ok(await call("customer.notifications", query));
}

/** GET /ops/notifications/endpoint */
export async function getEndpoint(_request: ApiRequest, call: Call): Promise<Reply> {
  return ok(await call("customer.notificationEndpoint", {}));
}

/** POST /ops/notifications/enable */
export async function enableNotifications(
  { body: { reason }, principal }: ApiRequest<{ reason: string }>,
  call: Call,
): Promise<Reply> {
  return ok(await call("customer.enableNotifications", { actor: principal.subject, reason }));
}
