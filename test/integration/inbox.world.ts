import { randomUUID } from "node:crypto";
import type { ReceivedMessage } from "../../lib/bus/bus.ts";
import type { Database, Tx } from "../../lib/database.ts";
import type { DomainEvent } from "../../lib/events.ts";
import { statement } from "../../lib/statement.ts";
import { type ConsumerOptions, consume } from "../../mixins/inbox-consumer.ts";
import { run, type TestServer } from "../support/service-database.ts";

export const TOPIC = "oms.products.events";
export const GROUP = "test-group";
const EFFECT = statement("test_effect", "insert into effects (event_id, reason) values ($1, $2)");

let offsets = 0;
/** A message at the next place of its partition. */
export function messageOf(value: string, headers: Record<string, string> = {}): ReceivedMessage {
  offsets += 1;
  return { topic: TOPIC, key: "key", value, headers, partition: 3, offset: String(offsets), timestampMs: 0 };
}

interface Adjusted {
  readonly eventId?: string;
  readonly eventType?: string;
  readonly data?: object;
}
export const envelope = (reason: string, given: Adjusted = {}) =>
  JSON.stringify({
    eventId: randomUUID(),
    eventType: "STOCK_ADJUSTED",
    aggregateId: "product",
    aggregateType: "product",
    aggregateVersion: 1,
    timestamp: "2026-01-02T03:04:05.000Z",
    version: 1,
    correlationId: "correlation",
    data: { productId: "p", delta: 1, available: 1, reason },
    ...given,
  });
export const adjusted = (reason: string, given?: Adjusted) => messageOf(envelope(reason, given));
/** The same event at another place of the log, as a relay that dies leaves it. */
export const again = (message: ReceivedMessage) => messageOf(message.value, message.headers);

/** A consumer whose effect is a row for each event. */
export async function openConsumer(server: TestServer, change: Partial<ConsumerOptions> = {}) {
  const { url, open } = await server.fresh("customer");
  await run(url, "create table effects (id serial, event_id uuid, reason text)");
  const seen = { fresh: 0, duplicates: 0, letters: 0 };
  const options = (database: Database, group = GROUP): ConsumerOptions => ({
    database,
    group,
    types: new Set(["STOCK_ADJUSTED"]),
    attemptsMax: 2,
    apply: effects,
    onProcessed: (fresh, duplicates) => {
      seen.fresh += fresh.length;
      seen.duplicates += duplicates.length;
    },
    onDeadLetter: () => {
      seen.letters += 1;
    },
    ...change,
  });
  // On a busy machine the last of many that meet at one row waits long.
  const patient = { lockTimeoutMs: 20_000, statementTimeoutMs: 20_000 };
  const consumer = options(open(patient));
  return {
    url,
    seen,
    consumer,
    another: (group?: string) => options(open(patient), group),
    take: (...messages: readonly ReceivedMessage[]) => consume(consumer, messages),
    effects: async () =>
      (await run<{ reason: string }>(url, "select reason from effects order by id")).map((row) => row.reason),
    inbox: () =>
      run(
        url,
        'select event_type, topic, partition, "offset"::text, result, consumer_group from processed_events order by processed_events."offset"',
      ),
    letters: async () => {
      const rows = await run<{ payload: { data: object; correlationId: string } }>(
        url,
        "select payload from outbox_events where topic = 'oms.dlq' and event_type = 'DEAD_LETTER' order by position",
      );
      return rows.map(({ payload }) => payload);
    },
  };
}

export async function effects(tx: Tx, events: readonly DomainEvent[]): Promise<void> {
  for (const event of events) {
    if (event.eventType === "STOCK_ADJUSTED") await tx.query(EFFECT, [event.eventId, event.data.reason]);
  }
}
/** Fails on events with this reason, after it has written. */
export const failingOn =
  (reason: string, error: () => Error) => async (tx: Tx, events: readonly DomainEvent[]) => {
    await effects(tx, events);
    const hit = events.some((event) => event.eventType === "STOCK_ADJUSTED" && event.data.reason === reason);
    if (hit) throw error();
  };
