import { v7 as uuidv7 } from "uuid";
import type { DeadLetterView } from "../../lib/contracts.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { joinJson, jsonColumn } from "../../lib/json-column.ts";
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
    },
  };
}

const COLUMNS = `id, source, topic, event_type, correlation_id, error_type, error_message, attempts, letter, at, status,
  redrives, redrive_error, redriven_at`;
const MATCHES =
  "($2::text is null or status = $2) and ($3::text is null or source = $3) and ($4::text is null or event_type = $4)";
const LIST = statement(
  "dead_letter_list",
  `select ${COLUMNS} from dead_letters where id < $1 and ${MATCHES} order by id desc limit $5`,
);
const OLDEST_OPEN = statement(
  "dead_letter_oldest",
  `select ${COLUMNS} from dead_letters
   where status = 'OPEN' and ($1::text is null or source = $1) and ($2::text is null or event_type = $2)
   order by id limit $3`,
);
const FIND = statement(
  "dead_letter_find",
  `select ${COLUMNS} from dead_letters where id = any($1) order by id`,
);

export interface LetterFilter {
  readonly status?: string;
  readonly source?: string;
  readonly eventType?: string;
}

/** Newest first. */
export async function listLetters(
  database: Database,
  { status, source, eventType }: LetterFilter,
  { before = LAST_ID, rows }: Seek,
): Promise<StoredLetter[]> {
  const values = [before, status, source, eventType, rows];
  return (await database.query<LetterRow>(LIST, values)).map(fromRow);
}

export async function oldestOpen(
  database: Database,
  { source, eventType }: LetterFilter,
  limit: number,
): Promise<StoredLetter[]> {
  return (await database.query<LetterRow>(OLDEST_OPEN, [source, eventType, limit])).map(fromRow);
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
