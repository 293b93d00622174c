import type { Database, Tx } from "../../../lib/database.ts";
import { uuidv7 } from "../../../lib/ids.ts";
import type { NotificationEndpoint, NotificationView } from "../../../lib/operator-contracts.ts";
import { LAST_ID, type Seek } from "../../../lib/page.ts";
import { statement } from "../../../lib/statement.ts";
import type { NewNotification } from "./notification.ts";

/** SQL of the notifications that are due, and of what became of them. */

const KNOW = statement(
  "notification_endpoint_know",
  `insert into notification_endpoint (url) values ($1)
   on conflict (only_one) do update set url = excluded.url, failing_since = null, disabled_at = null, last_error = null
   where notification_endpoint.url <> excluded.url`,
);

/** Another address than the one before is tried anew; what waits goes there. */
export async function knowEndpoint(database: Database, url: string): Promise<void> {
  await database.query(KNOW, [url]);
}

const INSERT = statement(
  "notification_insert",
  `insert into notifications (id, event_id, order_id, version, type, body, status, ended_at)
   select t.id, event_id, order_id, version, type, body,
          case when e.disabled_at is null then 'PENDING' else 'SKIPPED' end,
          case when e.disabled_at is not null then now() end
   from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::timestamptz[])
        as t(id, event_id, order_id, version, type, body, at)
   join notification_endpoint e on t.at >= e.since
   on conflict (event_id) do nothing`,
);

/** Notes what is to be told; while nobody is told it is noted as left out. */
export function insertNotifications(tx: Tx, notifications: readonly NewNotification[]): void {
  if (notifications.length === 0) return;
  tx.send(INSERT, [
    notifications.map(() => uuidv7()),
    notifications.map(({ eventId }) => eventId),
    notifications.map(({ orderId }) => orderId),
    notifications.map(({ version }) => version),
    notifications.map(({ type }) => type),
    notifications.map(({ body }) => body),
    notifications.map(({ at }) => at),
  ]);
}

export interface DueNotification {
  readonly id: string;
  readonly eventId: string;
  readonly orderId: string;
  readonly body: string;
  /** With this one. */
  readonly attempts: number;
}

// Whose predecessor of the same order waits has to wait too, also for one that somebody else is sending.
const CLAIM = statement(
  "notification_claim",
  `with due as (
     select n.id from notifications n
     where n.status = 'PENDING' and n.due_at <= now()
       and not exists (select from notifications e
                       where e.order_id = n.order_id and e.version < n.version and e.status = 'PENDING')
       and not exists (select from notification_endpoint where disabled_at is not null)
     order by n.due_at, n.id limit $1
     for update of n skip locked
   )
   update notifications n set attempts = n.attempts + 1, due_at = now() + $2 * interval '1 millisecond'
   from due where n.id = due.id
   returning n.id, n.event_id, n.order_id, n.body, n.attempts`,
);

/** Takes what is due; another process takes it over when the lease has run out. */
export async function claimNotifications(
  database: Database,
  count: number,
  leaseMs: number,
): Promise<DueNotification[]> {
  type Row = { id: string; event_id: string; order_id: string; body: string; attempts: number };
  const rows = await database.query<Row>(CLAIM, [count, leaseMs]);
  return rows.map(({ event_id: eventId, order_id: orderId, ...row }) => ({ eventId, orderId, ...row }));
}

export interface Settled {
  readonly id: string;
  readonly attempts: number;
  readonly status: "PENDING" | "DELIVERED" | "FAILED";
  readonly delayMs: number;
  readonly httpStatus?: number;
  readonly error?: string;
}

// Whose lease was taken over in the meantime has nothing to say any more.
const SETTLE = statement(
  "notification_settle",
  `update notifications
   set status = $3, due_at = now() + $4 * interval '1 millisecond', last_status = $5, last_error = $6,
       ended_at = case when $3 <> 'PENDING' then now() end
   where id = $1 and attempts = $2 and status = 'PENDING'`,
);

export function settleNotification(tx: Tx, settled: Settled): void {
  const { id, attempts, status, delayMs, httpStatus, error } = settled;
  tx.send(SETTLE, [id, attempts, status, delayMs, httpStatus ?? null, error ?? null]);
}

const REACHED = statement(
  "notification_endpoint_reached",
  "update notification_endpoint set failing_since = null, last_error = null where failing_since is not null",
);

export function endpointReached(tx: Tx): void {
  tx.send(REACHED, []);
}

const MISSED = statement(
  "notification_endpoint_missed",
  `with known as (select disabled_at from notification_endpoint for update)
   update notification_endpoint e
   set failing_since = coalesce(e.failing_since, now()), last_error = $1,
       disabled_at = coalesce(e.disabled_at, case
         when $2 or e.failing_since < now() - $3 * interval '1 millisecond' then now() end)
   from known
   returning known.disabled_at is null and e.disabled_at is not null as disabled`,
);

/** Nothing gets through; after long enough, or at once, nobody is told any more. Answers whether that begins now. */
export async function endpointMissed(
  tx: Tx,
  missed: { readonly error: string; readonly isGone: boolean; readonly disableAfterMs: number },
): Promise<boolean> {
  const [row] = await tx.query<{ disabled: boolean }>(MISSED, [
    missed.error,
    missed.isGone,
    missed.disableAfterMs,
  ]);
  return row?.disabled === true;
}

const ENABLE = statement(
  "notification_endpoint_enable",
  `update notification_endpoint set failing_since = null, disabled_at = null, last_error = null
   where disabled_at is not null returning url`,
);
const RETRY_NOW = statement(
  "notification_retry_now",
  "update notifications set due_at = now() where status = 'PENDING' and due_at > now()",
);

/** What waits is tried again at once. Answers whether it was disabled. */
export async function enableEndpoint(tx: Tx): Promise<boolean> {
  const rows = await tx.query(ENABLE, []);
  tx.send(RETRY_NOW, []);
  return rows.length > 0;
}

const ENDPOINT = statement(
  "notification_endpoint_find",
  `select url, failing_since, disabled_at, last_error,
          (select count(*)::int from notifications where status = 'PENDING') as pending
   from notification_endpoint`,
);

interface EndpointRow {
  url: string;
  failing_since: Date | null;
  disabled_at: Date | null;
  last_error: string | null;
  pending: number;
}

/** @param isConfigured without that nothing is sent, whatever is known */
export async function findEndpoint(database: Database, isConfigured: boolean): Promise<NotificationEndpoint> {
  const [row] = await database.query<EndpointRow>(ENDPOINT);
  if (row === undefined) return { state: "off", pending: 0 };
  const { url, failing_since: failingSince, disabled_at: disabledAt, last_error: lastError, pending } = row;
  const active = failingSince === null ? "active" : "failing";
  return {
    state: isConfigured ? (disabledAt === null ? active : "disabled") : "off",
    pending,
    url,
    ...(failingSince && { failingSince: failingSince.toISOString() }),
    ...(disabledAt && { disabledAt: disabledAt.toISOString() }),
    ...(lastError && { lastError }),
  };
}

const LIST = statement(
  "notification_list",
  `select id, event_id, order_id, type, status, attempts, due_at, last_status, last_error, created_at, ended_at
   from notifications
   where id < $1 and ($2::text is null or status = $2) and ($3::uuid is null or order_id = $3)
   order by id desc limit $4`,
);

interface NotificationRow {
  id: string;
  event_id: string;
  order_id: string;
  type: string;
  status: NotificationView["status"];
  attempts: number;
  due_at: Date;
  last_status: number | null;
  last_error: string | null;
  created_at: Date;
  ended_at: Date | null;
}

export interface NotificationFilter {
  readonly status?: NotificationView["status"];
  readonly orderId?: string;
}

/** The log of deliveries, newest first. */
export async function listNotifications(
  database: Database,
  { status, orderId }: NotificationFilter,
  { before = LAST_ID, rows }: Seek,
): Promise<(NotificationView & { readonly id: string })[]> {
  const found = await database.query<NotificationRow>(LIST, [before, status, orderId, rows]);
  return found.map((row) => ({
    id: row.id,
    notificationId: row.event_id,
    orderId: row.order_id,
    type: row.type,
    status: row.status,
    attempts: row.attempts,
    createdAt: row.created_at.toISOString(),
    ...(row.status === "PENDING" && { dueAt: row.due_at.toISOString() }),
    ...(row.last_status !== null && { lastStatus: row.last_status }),
    ...(row.last_error !== null && { lastError: row.last_error }),
    ...(row.ended_at !== null && { endedAt: row.ended_at.toISOString() }),
  }));
}
