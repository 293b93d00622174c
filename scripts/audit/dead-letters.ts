import { DATABASE_NAMES } from "../../lib/settings.ts";
import type { Findings } from "./findings.ts";
import { goneBefore } from "./horizon.ts";
import type { Count, SqlRule } from "./sql-rules.ts";
import type { World } from "./world.ts";

/** I10. */

/** A letter is an event as others are: retention takes it, while what it tells of may stay. */
const LETTER_KEPT = goneBefore("outbox_delivery");

/** The relay writes the letter in the transaction that gives up; a letter that is refused itself has nobody left. */
const REFUSED = `
  select 'event ' || e.id as subject,
         format('the bus refused %s, version %s of %s %s (%s)%s', e.event_type, e.aggregate_version, e.aggregate_type,
                e.aggregate_id, coalesce(nullif(d.error_message, ''), 'no reason noted'),
                case when l.id is null and e.created_at >= ${LETTER_KEPT} then ', and no dead letter tells of it' end) as problem
  from outbox_delivery d
  join outbox_events e using (position)
  left join outbox_events l on l.aggregate_id = e.id and l.event_type = 'DEAD_LETTER'
  where d.status = 'FAILED' and ((l.id is null and e.created_at >= ${LETTER_KEPT}) or coalesce(d.error_message, '') = '')`;

const PUT_ASIDE = `
  with letters as (
    select payload->'data' as data from outbox_events where event_type = 'DEAD_LETTER'
  )
  select 'event ' || p.event_id as subject,
         format('%s put %s from %s/%s/%s aside, and no dead letter tells of it', p.consumer_group, p.event_type,
                p.topic, p.partition, p."offset") as problem
  from processed_events p
  left join letters l on l.data->>'source' = p.consumer_group and l.data->>'topic' = p.topic
    and l.data->>'partition' = p.partition::text and l.data->>'offset' = p."offset"::text
  where p.result = 'DEAD_LETTERED' and l.data is null and p.processed_at >= ${LETTER_KEPT}`;

const LETTERS = "select id, payload::text as letter from outbox_events where event_type = 'DEAD_LETTER'";

/** Dead letters as they were written; what others put on the topic is looked at on the bus. */
export async function checkLetters(world: World, findings: Findings): Promise<void> {
  for (const { tables, stream } of Object.values(world.snapshots)) {
    if (!tables.has("outbox_events")) continue;
    for await (const rows of stream<{ id: string; letter: string }>(LETTERS)) {
      findings.looked("I10", "dead letters", rows.length);
      for (const { id, letter } of rows) {
        const problem = problemOf(letter);
        if (problem !== undefined)
          findings.violations.push({ invariant: "I10", subject: `dead letter ${id}`, problem });
      }
    }
  }
}

/** What a dead letter fails to say. A consumer names the message's place, a relay the position in its outbox. */
export function problemOf(letter: string): string | undefined {
  const data = dataOf(letter);
  if (data === undefined) return "it cannot be read";
  const { source, topic, position, partition, offset, error, attempts } = data;
  const place = source === "outbox" ? { position } : { partition, offset };
  const missing = Object.entries(place)
    .filter(([, value]) => !isCount(value))
    .map(([name]) => name);
  if (typeof topic !== "string" || topic === "") missing.push("topic");
  if (!hasReason(error)) missing.push("error");
  if (!isCount(attempts) || Number(attempts) < 1) missing.push("attempts");
  return missing.length > 0 ? `it does not say its ${missing.join(", ")}` : undefined;
}

function dataOf(letter: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(letter);
    if (!isObject(parsed)) return undefined;
    return isObject(parsed.data) ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isCount(value: unknown): boolean {
  return (typeof value === "number" || typeof value === "string") && /^\d+$/.test(String(value));
}

function hasReason(error: unknown): boolean {
  const message = isObject(error) ? error.message : error;
  return typeof message === "string" && message !== "";
}

export const DEAD_LETTER_RULES: readonly SqlRule[] = DATABASE_NAMES.flatMap((database): SqlRule[] => [
  { invariant: "I10", database, needs: ["outbox_events", "outbox_delivery"], text: REFUSED },
  { invariant: "I10", database, needs: ["outbox_events", "processed_events"], text: PUT_ASIDE },
]);

export const DEAD_LETTER_COUNTS: readonly Count[] = DATABASE_NAMES.flatMap((database): Count[] => [
  {
    invariant: "I10",
    database,
    table: "outbox_delivery",
    what: "refused events",
    where: "status = 'FAILED'",
  },
  {
    invariant: "I10",
    database,
    table: "processed_events",
    what: "messages put aside",
    where: "result = 'DEAD_LETTERED'",
  },
]);
