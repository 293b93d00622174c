import type { BusMessage } from "../lib/bus/bus.ts";
import type { Database, Tx } from "../lib/database.ts";
import { uuidv7 } from "../lib/ids.ts";
import { joinJson, joinTexts, jsonColumn } from "../lib/json-column.ts";
import { statement } from "../lib/statement.ts";
import { traceparentOf, tracing } from "../lib/tracing/tracing.ts";

/** SQL of the outbox: append in the caller's transaction, claim, mark. */

export interface OutboxEvent {
  readonly type: string;
  readonly topic: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly aggregateVersion: number;
  /** Version of the data's schema. */
  readonly version: number;
  readonly correlationId: string;
  /** The event or command that this one follows from. */
  readonly causationId?: string;
  readonly data: object;
}

// The last hex digit of the aggregate's id is its bucket: sixteen of them, evenly filled by random ids.
const APPEND = statement(
  "outbox_append",
  `with appended as (
     insert into outbox_events (id, aggregate_type, aggregate_id, aggregate_version, event_type, topic, payload, headers)
     select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::text[], $6::text[], ${jsonColumn(7)}, ${jsonColumn(8)})
     returning position, id, aggregate_id
   )
   insert into outbox_delivery (position, event_id, bucket)
   select position, id, get_byte(uuid_send(aggregate_id), 15) & 15 from appended
   returning position, event_id`,
);

interface AppendedRow {
  position: number;
  event_id: string;
}

/**
 * Appends events; the aggregates' rows must be locked already by this transaction. Once it has committed, whoever is to
 * publish them gets them as a relay would read them.
 */
export function appendEvents(
  tx: Tx,
  events: readonly OutboxEvent[],
  handOver?: (events: readonly PendingEvent[]) => void,
): void {
  if (events.length === 0) return;
  const createdAtMs = Date.now();
  const timestamp = new Date(createdAtMs).toISOString();
  const ids = events.map(() => uuidv7());
  const payloads = events.map((event, index) =>
    JSON.stringify({
      eventId: ids[index],
      eventType: event.type,
      aggregateId: event.aggregateId,
      aggregateType: event.aggregateType,
      aggregateVersion: event.aggregateVersion,
      timestamp,
      version: event.version,
      correlationId: event.correlationId,
      data: event.data,
    }),
  );
  const headers = events.map(({ correlationId, causationId }) => ({
    "correlation-id": correlationId,
    "causation-id": causationId,
    timestamp,
    traceparent: tracing.on ? traceparentOf({ correlationId, causationId }) : undefined,
  }));
  const appending = tx.query<AppendedRow>(APPEND, [
    ids,
    events.map((event) => event.aggregateType),
    events.map((event) => event.aggregateId),
    events.map((event) => event.aggregateVersion),
    events.map((event) => event.type),
    events.map((event) => event.topic),
    joinTexts(payloads),
    joinJson(headers),
  ]);
  // Its failure is the transaction's, which tells of it.
  const appended = appending.catch(() => []);
  if (handOver === undefined) return;
  const pending = (rows: readonly AppendedRow[]) => {
    const positionOf = new Map(rows.map((row) => [row.event_id, row.position]));
    return events.map((event, index): PendingEvent => {
      const id = ids[index] as string;
      const { aggregateId, aggregateVersion, type, topic } = event;
      const given = { ...present(headers[index] ?? {}), "event-id": id, "event-type": type };
      const message = { topic, key: aggregateId, value: payloads[index] as string, headers: given };
      const position = positionOf.get(id) as number;
      return { position, aggregateId, aggregateVersion, retryCount: 0, type, createdAtMs, message };
    });
  };
  tx.afterCommit(() => void appended.then((rows) => handOver(pending(rows))));
}

export interface PendingEvent {
  readonly position: number;
  readonly aggregateId: string;
  readonly aggregateVersion: number;
  readonly retryCount: number;
  readonly type: string;
  readonly createdAtMs: number;
  readonly message: BusMessage;
}

interface FoundEvent extends PendingEvent {
  /** Its predecessor waits before the position that was asked from, and has to go first. */
  readonly behind: boolean;
}

// What blocks an aggregate counts for as long as it is not out: a relay that lost its bucket may block it afterwards.
// Ordered by position: within an aggregate that is the order of its versions, because its row was locked.
const PENDING = statement(
  "outbox_pending",
  `select d.position, d.retry_count, e.id, e.aggregate_id, e.aggregate_version, e.event_type, e.topic,
          e.payload::text as payload, e.headers, extract(epoch from e.created_at) * 1000 as created_at_ms,
          $1 > 0 and e.aggregate_version > 1 and exists (
            select 1 from outbox_events p join outbox_delivery pd on pd.position = p.position
            where p.aggregate_id = e.aggregate_id and p.aggregate_version = e.aggregate_version - 1
              and p.position <= $1 and pd.status = 'PENDING') as behind
   from outbox_delivery d
   join outbox_events e on e.position = d.position
   left join outbox_blocked b on b.aggregate_id = e.aggregate_id
   where d.status = 'PENDING' and d.position > $1 and d.bucket = any($2)
     and (d.next_attempt_at is null or d.next_attempt_at <= now())
     and (b.position is null or b.position >= d.position or not exists (
       select from outbox_delivery bd where bd.position = b.position and bd.status <> 'PUBLISHED'))
   order by d.position
   limit $3`,
);

interface PendingRow {
  position: number;
  retry_count: number;
  id: string;
  aggregate_id: string;
  aggregate_version: number;
  event_type: string;
  topic: string;
  payload: string;
  headers: Record<string, string | null>;
  created_at_ms: string;
  behind: boolean;
}

/** What waits in these buckets beyond a position, oldest first. */
export async function pendingEvents(
  database: Database,
  afterPosition: number,
  buckets: readonly number[],
  limit: number,
): Promise<FoundEvent[]> {
  const rows = await database.query<PendingRow>(PENDING, [afterPosition, buckets, limit]);
  return rows.map((row) => ({
    position: row.position,
    aggregateId: row.aggregate_id,
    aggregateVersion: row.aggregate_version,
    retryCount: row.retry_count,
    type: row.event_type,
    createdAtMs: Number(row.created_at_ms),
    behind: row.behind,
    message: {
      topic: row.topic,
      key: row.aggregate_id,
      value: row.payload,
      headers: { ...present(row.headers), "event-id": row.id, "event-type": row.event_type },
    },
  }));
}

function present(headers: Record<string, string | null | undefined>): Record<string, string> {
  const entries = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] != null);
  return Object.fromEntries(entries);
}

// In one statement: a crash between the two would leave the aggregate waiting for ever behind an event that is out.
// Nobody waits for the disk: a mark that a crash of PostgreSQL loses is made again, with the event published again.
const PUBLISHED = statement(
  "outbox_published",
  `with unblocked as (delete from outbox_blocked where position = any($1))
   update outbox_delivery set status = 'PUBLISHED', published_at = now(), error_message = null
   where position = any($1) and status = 'PENDING' and (select set_config('synchronous_commit', 'off', true)) = 'off'`,
);

/** What waited behind these events may go on. */
export async function markPublished(database: Database, positions: readonly number[]): Promise<void> {
  await database.query(PUBLISHED, [positions]);
}

const REFUSED = statement(
  "outbox_refused",
  `update outbox_delivery
   set retry_count = retry_count + 1, error_message = $2,
       status = case when retry_count + 1 >= $3 then 'FAILED' else 'PENDING' end,
       next_attempt_at = now() + $4 * interval '1 millisecond'
   where position = $1 and status = 'PENDING'
   returning status, retry_count`,
);

// Only by events that still wait, and the first of those of an aggregate: a relay that lost its bucket while the broker
// answered would block for ever what another has published meanwhile.
const BLOCK = statement(
  "outbox_block",
  `with pending as (
     select position from outbox_delivery where position = any($2) and status = 'PENDING' order by position for update
   )
   insert into outbox_blocked as b (aggregate_id, position)
   select t.aggregate_id, t.position from unnest($1::uuid[], $2::bigint[]) as t(aggregate_id, position)
   where t.position = any(array(select position from pending))
   on conflict (aggregate_id) do update set position = excluded.position
   where excluded.position < b.position or not exists (
     select from outbox_delivery bd where bd.position = b.position and bd.status <> 'PUBLISHED')`,
);

/** The broker refuses the event: its aggregate waits behind it. Answers true when that was its last try. */
export async function markRefused(
  tx: Tx,
  event: PendingEvent,
  reason: string,
  attemptsMax: number,
  backoffMs: number,
): Promise<boolean> {
  tx.send(BLOCK, [[event.aggregateId], [event.position]]);
  const [row] = await tx.query<{ status: string }>(REFUSED, [event.position, reason, attemptsMax, backoffMs]);
  return row?.status === "FAILED";
}

const RELEASE = statement(
  "outbox_release",
  `update outbox_delivery set status = 'PENDING', retry_count = 0, next_attempt_at = null
   where position = $1 and status = 'FAILED'
   returning position`,
);
const DELIVERY = statement(
  "outbox_delivery_status",
  "select status from outbox_delivery where position = $1",
);

/** Lets the relay try a refused event again. Answers false when there is none at that position. */
export async function releaseRefused(tx: Tx, position: number): Promise<boolean> {
  if ((await tx.query(RELEASE, [position])).length > 0) return true;
  return (await tx.query(DELIVERY, [position])).length > 0;
}

const LETTERS = statement(
  "outbox_letters",
  "select coalesce(max(aggregate_version), 0) as letters from outbox_events where aggregate_id = $1",
);

/** How many dead letters tell of this event: more than one when it was tried again in vain. */
export async function lettersOf(tx: Tx, eventId: string): Promise<number> {
  const [row] = await tx.query<{ letters: number }>(LETTERS, [eventId]);
  return row?.letters ?? 0;
}

const POSTPONE = statement(
  "outbox_postpone",
  `update outbox_delivery set error_message = $2, next_attempt_at = now() + $3 * interval '1 millisecond'
   where position = any($1) and status = 'PENDING'`,
);

/** Events that cannot be published for now, the first of each aggregate; those behind them wait. Costs no retry. */
export function postpone(tx: Tx, heads: readonly PendingEvent[], reason: string, delayMs: number): void {
  tx.send(BLOCK, [heads.map(({ aggregateId }) => aggregateId), heads.map(({ position }) => position)]);
  tx.send(POSTPONE, [heads.map(({ position }) => position), reason, delayMs]);
}
