import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import type { TopicState } from "./bus-log.ts";
import type { AuditOptions } from "./options.ts";
import type { World } from "./world.ts";

/** An event of an outbox, and where it was first met on the bus. */
export interface KnownEvent {
  readonly database: DatabaseName;
  readonly id: string;
  readonly key: string;
  readonly version: number;
  readonly type: string;
  readonly topic: string;
  /** It was published, and not so long ago that the topic's retention may have taken it. */
  readonly expected: boolean;
  partition: number;
  /** -1: not on the bus. */
  offset: number;
}

/** All that stands on the bus, held against what the outboxes know. */
export interface BusContents {
  readonly index: ReadonlyMap<string, KnownEvent>;
  readonly horizons: Horizons;
  /** Events that no outbox knows: put there by somebody else, or committed since the snapshots. */
  readonly foreign: ReadonlySet<string>;
  /** One past the last offset of each partition, by topic/partition. */
  readonly ends: ReadonlyMap<string, number>;
}

/** Since when a topic still has everything; topics that are not named have it from the beginning. */
export type Horizons = ReadonlyMap<string, Date>;

/** By the clock, not as of the last sign of life: a bus deletes whether or not anybody works with it. */
export function horizonsOf(
  topics: readonly TopicState[],
  now: Date,
  { busSince, graceSeconds }: AuditOptions,
): Horizons {
  const horizons = new Map<string, Date>();
  for (const { name, retentionMs, truncated } of topics) {
    const kept = truncated ? now.getTime() - retentionMs + graceSeconds * 1_000 : Number.NEGATIVE_INFINITY;
    const since = Math.max(kept, busSince?.getTime() ?? Number.NEGATIVE_INFINITY);
    if (Number.isFinite(since)) horizons.set(name, new Date(since));
  }
  return horizons;
}

/** For `$1` and `$2` of a statement that joins the horizons by topic. */
export function horizonValues(horizons: Horizons): unknown[] {
  return [[...horizons.keys()], [...horizons.values()]];
}

interface Row {
  id: string;
  key: string;
  version: number;
  type: string;
  topic: string;
  expected: boolean;
}

// An event without a delivery row was published; its row has left by retention.
const EVENTS = `
  select e.id, e.aggregate_id as key, e.aggregate_version as version, e.event_type as type, e.topic,
         coalesce(d.status, 'PUBLISHED') = 'PUBLISHED'
           and coalesce(coalesce(d.published_at, e.created_at) >= h.since, true) as expected
  from outbox_events e
  left join outbox_delivery d using (position)
  left join unnest($1::text[], $2::timestamptz[]) h(topic, since) on h.topic = e.topic
  order by e.position`;

/** All events that the outboxes know, by id; those of an aggregate in their order. */
export async function indexEvents(world: World, horizons: Horizons): Promise<Map<string, KnownEvent>> {
  const index = new Map<string, KnownEvent>();
  const texts = new Map<string, string>();
  const load = async (database: DatabaseName) => {
    const { tables, stream } = world.snapshots[database];
    if (!tables.has("outbox_events") || !tables.has("outbox_delivery")) return;
    for await (const rows of stream<Row>(EVENTS, horizonValues(horizons))) {
      for (const row of rows) index.set(row.id, knownEvent(database, row, texts));
    }
  };
  await Promise.all(DATABASE_NAMES.map(load));
  return index;
}

/** A few texts that each row brings anew are kept once: half of what 400,000 events would take. */
function knownEvent(database: DatabaseName, row: Row, texts: Map<string, string>): KnownEvent {
  const once = (text: string) => {
    const known = texts.get(text);
    if (known === undefined) texts.set(text, text);
    return known ?? text;
  };
  const { id, key, version, expected } = row;
  return {
    database,
    id,
    key,
    version,
    type: once(row.type),
    topic: once(row.topic),
    expected,
    partition: -1,
    offset: -1,
  };
}
