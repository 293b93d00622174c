import type { Database, Tx } from "../../lib/database.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { joinJson, jsonColumn } from "../../lib/json-column.ts";
import type { DeadLetterGroup, DeadLetterView } from "../../lib/operator-contracts.ts";
import { LAST_ID, type Seek } from "../../lib/page.ts";
import { statement } from "../../lib/statement.ts";
import type { Letter, LetterData } from "./dead-letters.ts";

/** SQL of the dead letters as operators look at them. */

const INSERT = statement(
  "dead_letter_insert",
  `insert into dead_letters (id, event_id, source, topic, event_type, correlation_id, error_type, error_message,
     attempts, letter, at)
   select id, event_id, source, topic, event_type, correlation_id, error_type, error_message, attempts, letter, at
   from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
               $9::int[], ${jsonColumn(10)}, $11::timestamptz[])
        as t(id, event_id, source, topic, event_type, correlation_id, error_type, error_message, attempts, letter, at)
   on conflict (event_id) do nothing`,
);

/** A letter that is known already stays as it is. */
export async function insertLetters(database: Database, letters: readonly Letter[]): Promise<void> {
  const byEvent = [...new Map(letters.map((letter) => [letter.eventId, letter])).values()];
  await database.query(INSERT, [
    byEvent.map(() => uuidv7()),
    byEvent.map(({ eventId }) => eventId),
    byEvent.map(({ source }) => source),
    byEvent.map(({ topic }) => topic),
    byEvent.map(({ eventType }) => eventType),
    byEvent.map(({ correlationId }) => correlationId),
    byEvent.map(({ error }) => error.code),
    byEvent.map(({ error }) => error.message),
    byEvent.map(({ attempts }) => attempts),
    joinJson(byEvent.map(({ data }) => data)),
    byEvent.map(({ at }) => at),
  ]);
}

interface LetterRow {
  id: string;
  source: string;
  topic: string;
  event_type: string;
  correlation_id: string;
  error_type: string;
  error_message: string;
  attempts: number;
  letter: LetterData;
  at: Date;
  status: DeadLetterView["status"];
  redrives: number;
  redrive_error: string | null;
  redriven_at: Date | null;
  discarded_at: Date | null;
}

export interface StoredLetter {
  readonly id: string;
  readonly view: DeadLetterView;
  readonly data: LetterData;
}

function fromRow(row: LetterRow): StoredLetter {
  return {
    id: row.id,
    data: row.letter,
    view: {
      letterId: row.id,
      source: row.source,
      topic: row.topic,
      eventType: row.event_type,
      error: { code: row.error_type, message: row.error_message },
      attempts: row.attempts,
      correlationId: row.correlation_id,
      at: row.at.toISOString(),
      status: row.status,
      redrives: row.redrives,
      ...(row.redrive_error !== null && { redriveError: row.redrive_error }),
      ...(row.redriven_at !== null && { redrivenAt: row.redriven_at.toISOString() }),
      ...(row.discarded_at !== null && { discardedAt: row.discarded_at.toISOString() }),
    },
  };
}

const COLUMNS = `id, source, topic, event_type, correlation_id, error_type, error_message, attempts, letter, at, status,
  redrives, redrive_error, redriven_at, discarded_at`;
const MATCHES = `($1::text is null or source = $1) and ($2::text is null or topic = $2)
   and ($3::text is null or event_type = $3) and ($4::text is null or error_type = $4)`;
const LIST = statement(
  "dead_letter_list",
  `select ${COLUMNS} from dead_letters where ${MATCHES} and ($5::text is null or status = $5) and id < $6
   order by id desc limit $7`,
);
// Those that were tried least go first: however many cannot be delivered, the others come to their turn.
const OPEN = statement(
  "dead_letter_open",
  `select ${COLUMNS} from dead_letters where ${MATCHES} and status = 'OPEN' order by redrives, id limit $5`,
);
const GROUPS = statement(
  "dead_letter_groups",
  `select error_type as code, topic, source, count(*)::int as letters, min(at) as oldest, max(at) as newest,
     (array_agg(distinct event_type order by event_type))[1:20] as types
   from dead_letters where status = 'OPEN' group by error_type, topic, source
   order by count(*) desc, min(at) limit $1`,
);
const FIND = statement(
  "dead_letter_find",
  `select ${COLUMNS} from dead_letters where id = any($1) order by id`,
);

export interface LetterFilter {
  readonly status?: string;
  readonly source?: string;
  readonly topic?: string;
  readonly eventType?: string;
  readonly code?: string;
}

const kindOf = ({ source, topic, eventType, code }: LetterFilter) => [source, topic, eventType, code];

/** Newest first. */
export async function listLetters(
  database: Database,
  filter: LetterFilter,
  { before = LAST_ID, rows }: Seek,
): Promise<StoredLetter[]> {
  const values = [...kindOf(filter), filter.status, before, rows];
  return (await database.query<LetterRow>(LIST, values)).map(fromRow);
}

export async function openLetters(
  database: Database,
  filter: LetterFilter,
  limit: number,
): Promise<StoredLetter[]> {
  return (await database.query<LetterRow>(OPEN, [...kindOf(filter), limit])).map(fromRow);
}

interface GroupRow extends Pick<DeadLetterGroup, "code" | "topic" | "source" | "letters"> {
  oldest: Date;
  newest: Date;
  types: string[];
}

const GROUPS_MAX = 100;

/** What is open by its reason, the most frequent first. */
export async function groupLetters(database: Database): Promise<DeadLetterGroup[]> {
  const rows = await database.query<GroupRow>(GROUPS, [GROUPS_MAX]);
  return rows.map(({ oldest, newest, types, ...group }) => ({
    ...group,
    eventTypes: types,
    oldestAt: oldest.toISOString(),
    newestAt: newest.toISOString(),
  }));
}

export async function findLetters(database: Database, ids: readonly string[]): Promise<StoredLetter[]> {
  return (await database.query<LetterRow>(FIND, [ids])).map(fromRow);
}

const SETTLE = statement(
  "dead_letter_settle",
  `update dead_letters l
   set status = case when t.error is null then 'REDRIVEN' else l.status end, redrives = l.redrives + 1,
       redrive_error = t.error, redriven_at = now()
   from unnest($1::uuid[], $2::text[]) as t(id, error)
   where l.id = t.id and l.status = 'OPEN'`,
);

export interface Redriven {
  readonly letterId: string;
  /** Null: it was delivered. */
  readonly error: string | null;
}

export function settleLetters(tx: Tx, redriven: readonly Redriven[]): void {
  if (redriven.length === 0) return;
  tx.send(SETTLE, [redriven.map(({ letterId }) => letterId), redriven.map(({ error }) => error)]);
}

// An event that was refused keeps later ones of its aggregate waiting: it can only be delivered.
const DISCARD = statement(
  "dead_letter_discard",
  `update dead_letters set status = 'DISCARDED', discarded_at = now()
   where id = any($1::uuid[]) and status = 'OPEN' and source <> 'outbox' returning id`,
);

/** Answers those that were open and are not any more. */
export async function discardOpen(tx: Tx, ids: readonly string[]): Promise<string[]> {
  return (await tx.query<{ id: string }>(DISCARD, [ids])).map(({ id }) => id);
}
