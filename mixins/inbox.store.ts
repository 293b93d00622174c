import { v5 as uuidv5 } from "uuid";
import type { ReceivedMessage } from "../lib/bus/bus.ts";
import type { Tx } from "../lib/database.ts";
import { statement } from "../lib/statement.ts";

/** An event as it was received, whatever became of it. */
export interface InboxRow {
  readonly eventId: string;
  readonly eventType: string;
  readonly message: ReceivedMessage;
  readonly result: "PROCESSED" | "DEAD_LETTERED";
}

// duration_ms counts from the broker's taking the message to its processing: what the business waited.
const RECORD = statement(
  "inbox_record",
  `insert into processed_events (consumer_group, event_id, event_type, topic, partition, "offset", result, duration_ms)
   select $1, id, type, topic, partition, "offset", result,
          greatest(0, extract(epoch from clock_timestamp()) * 1000 - taken_at_ms)
   from unnest($2::uuid[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::text[], $8::float8[])
        as t(id, type, topic, partition, "offset", result, taken_at_ms)
   on conflict do nothing
   returning event_id`,
);

/** Records events of a group; answers the ids that are new to it. All others have had their effect. */
export async function recordEvents(tx: Tx, group: string, rows: readonly InboxRow[]): Promise<Set<string>> {
  if (rows.length === 0) return new Set();
  // One order for all members: two that meet the same events wait for each other in one direction only.
  const sorted = [...rows].sort((a, b) => (a.eventId < b.eventId ? -1 : 1));
  const recorded = await tx.query<{ event_id: string }>(RECORD, [
    group,
    sorted.map((row) => row.eventId),
    sorted.map((row) => row.eventType),
    sorted.map((row) => row.message.topic),
    sorted.map((row) => row.message.partition),
    sorted.map((row) => row.message.offset),
    sorted.map((row) => row.result),
    sorted.map((row) => row.message.timestampMs),
  ]);
  return new Set(recorded.map((row) => row.event_id));
}

const REOPEN = statement(
  "inbox_reopen",
  `delete from processed_events where consumer_group = $1 and event_id = any($2) and result = 'DEAD_LETTERED'
   returning event_id`,
);
const KNOWN = statement(
  "inbox_known",
  "select event_id from processed_events where consumer_group = $1 and event_id = any($2)",
);

/**
 * Takes back that a message was put aside, so that it may be recorded as processed. Answers "open", or what it is
 * instead: "processed", or "unknown" to this group.
 */
export async function reopenEvent(
  tx: Tx,
  group: string,
  ids: readonly string[],
): Promise<"open" | "processed" | "unknown"> {
  if ((await tx.query(REOPEN, [group, ids])).length > 0) return "open";
  return (await tx.query(KNOWN, [group, ids])).length > 0 ? "processed" : "unknown";
}

const POISON_NAMESPACE = "6f1c0f43-6c3f-4a57-9a55-5a4f9f3f7f10";

/** A message that cannot be read has no event id: where it stands is its identity. */
export function positionId(message: ReceivedMessage): string {
  return uuidv5(`${message.topic}/${message.partition}/${message.offset}`, POISON_NAMESPACE);
}
