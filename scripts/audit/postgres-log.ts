import pg from "pg";
import { type Config, databaseUrl } from "../../lib/config.ts";
import {
  type BusLog,
  BusUnreadableError,
  committedKey,
  DEAD_LETTER_TOPIC,
  eventIdIn,
  type LoggedMessage,
  TOPIC_NAMES,
} from "./bus-log.ts";
import { connectReadOnly, DatabaseUnreadableError, takeSnapshot } from "./snapshot.ts";

interface Row {
  topic: string;
  partition: number;
  offset: number;
  key: string;
  headers: string;
  value: string | null;
}

// The header is what the relay writes; the value is fetched only where it is needed, for it is the bulk of a message.
// In whatever order they lie: by partition and offset, an index scan reads each page of the table over and over.
const MESSAGES = `
  select topic, partition, "offset"::float8 as "offset", key, headers,
         case when topic = '${DEAD_LETTER_TOPIC}' or strpos(headers, '"event-id":') = 0 then value end as value
  from bus_log where topic = any($1)`;

const TOPICS = `
  select t.name, t.retention_ms::float8 as "retentionMs",
         exists (
           select from bus_partitions p
           cross join lateral (
             select coalesce((select l."offset" from bus_log l where l.topic = p.topic and l.partition = p.partition
                              order by l."offset" limit 1), p.next_offset) as at
           ) first
           where p.topic = t.name and first.at > 0
         ) as truncated
  from bus_topics t where t.name = any($1)`;

/** The bus in PostgreSQL, read from its tables. */
export async function openPostgresLog(config: Config): Promise<BusLog> {
  const url = databaseUrl(config, "bus");
  const client = await reading(() => connectReadOnly("the bus", url));
  const rowsOf = <Found extends object>(text: string, values: readonly unknown[] = []) =>
    reading(async () => (await client.query<Found>(text, [...values])).rows);
  return {
    kind: "postgres",
    async committed() {
      const rows = await rowsOf<{ group_name: string; topic: string; partition: number; at: number }>(
        "select group_name, topic, partition, next_offset::float8 as at from bus_offsets",
      );
      return new Map(
        rows.map(({ group_name, topic, partition, at }) => [committedKey(group_name, topic, partition), at]),
      );
    },
    topics: () => rowsOf(TOPICS, [TOPIC_NAMES]),
    read: (visit) => reading(() => readMessages(client, visit)),
    close: () => client.end(),
  };
}

async function readMessages(client: pg.Client, visit: (message: LoggedMessage) => void): Promise<void> {
  // Taken now, after those of the services: what they call published is in it.
  const snapshot = await takeSnapshot("the bus", client);
  for await (const rows of snapshot.stream<Row>(MESSAGES, [TOPIC_NAMES])) {
    for (const row of rows) visit(messageOf(row));
  }
}

async function reading<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof pg.DatabaseError || error instanceof DatabaseUnreadableError)
      throw new BusUnreadableError(error);
    throw error;
  }
}

function messageOf({ topic, partition, offset, key, headers, value }: Row): LoggedMessage {
  const letter = topic === DEAD_LETTER_TOPIC ? (value ?? "") : undefined;
  return { topic, partition, offset, key, eventId: idInHeaders(headers) ?? eventIdIn(value ?? ""), letter };
}

const MARK = '"event-id":"';
const UUID_LENGTH = 36;

/** Cut out of the text: of 400,000 messages, parsing each one's headers is a second on its own. */
function idInHeaders(headers: string): string | undefined {
  const at = headers.indexOf(MARK);
  return at < 0 ? undefined : headers.slice(at + MARK.length, at + MARK.length + UUID_LENGTH);
}
