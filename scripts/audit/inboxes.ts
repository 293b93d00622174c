import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import { committedKey } from "./bus-log.ts";
import { type BusContents, horizonValues, type KnownEvent } from "./event-index.ts";
import type { Findings } from "./findings.ts";
import type { World } from "./world.ts";

/** I8: each event took effect once in each group that handles it. */

interface Group {
  readonly name: string;
  readonly database: DatabaseName;
  readonly types: ReadonlySet<string>;
  /** It only acts on events that name a saga. */
  readonly ofSagas: boolean;
  /** Notifications are a matter of settings, which an audit does not know. */
  readonly onlyIfUsed?: true;
}

const GROUPS: readonly Group[] = [
  {
    name: "product-service-group",
    database: "product",
    types: new Set(["RESERVE_STOCK", "RELEASE_STOCK"]),
    ofSagas: false,
  },
  {
    name: "saga-service-group",
    database: "saga",
    types: new Set(["STOCK_RESERVED", "STOCK_RESERVATION_FAILED", "STOCK_RELEASED", "PAYMENT_REFUNDED"]),
    ofSagas: true,
  },
  {
    name: "payment-service-group",
    database: "payment",
    types: new Set(["REFUND_PAYMENT"]),
    ofSagas: false,
  },
  {
    name: "order-service-group",
    database: "order",
    types: new Set(["STOCK_RELEASED"]),
    ofSagas: false,
  },
  {
    name: "customer-service-group",
    database: "customer",
    types: new Set([
      "ORDER_CREATED",
      "ORDER_CONFIRMED",
      "ORDER_PAID",
      "ORDER_COMPLETED",
      "ORDER_CANCELLATION_REQUESTED",
      "ORDER_CANCELLED",
    ]),
    ofSagas: false,
    onlyIfUsed: true,
  },
];

interface InboxRow {
  consumer_group: string;
  event_id: string;
  topic: string;
  partition: number;
  offset: number;
  put_aside: boolean;
  /** Old enough for its message to have left the bus. */
  old: boolean;
}

const ROWS = `
  select p.consumer_group, p.event_id, p.topic, p.partition, p."offset"::float8 as "offset",
         p.result = 'DEAD_LETTERED' as put_aside, coalesce(p.processed_at - p.duration_ms * interval '1 ms' < h.since, false) as old
  from processed_events p
  left join unnest($1::text[], $2::timestamptz[]) h(topic, since) on h.topic = p.topic`;

/** Events that a group has recorded; a message that nobody can read is known by its place alone. */
interface Inbox {
  readonly events: Set<string>;
  readonly putAside: Set<string>;
}

const placeOf = ({ topic, partition, offset }: { topic: string; partition: number; offset: number }) =>
  `${topic}/${partition}/${offset}`;

export async function checkInboxes(world: World, contents: BusContents, findings: Findings): Promise<void> {
  const inboxes = new Map<string, Inbox>();
  for (const database of DATABASE_NAMES) await readInbox(world, database, contents, inboxes, findings);
  const used = GROUPS.filter(({ name, onlyIfUsed }) => !onlyIfUsed || inboxes.has(name));
  for (const group of used) await checkGroup(world, group, contents, inboxes, findings);
}

async function readInbox(
  world: World,
  database: DatabaseName,
  contents: BusContents,
  inboxes: Map<string, Inbox>,
  findings: Findings,
): Promise<void> {
  const { tables, stream } = world.snapshots[database];
  if (!tables.has("processed_events")) return findings.notThere("I8", ["processed_events"]);
  for await (const rows of stream<InboxRow>(ROWS, horizonValues(contents.horizons))) {
    findings.looked("I8", "inbox rows", rows.length);
    for (const row of rows) {
      const { consumer_group: group, event_id: id } = row;
      const inbox = inboxes.get(group) ?? { events: new Set(), putAside: new Set() };
      inboxes.set(group, inbox);
      inbox.events.add(id);
      if (row.put_aside) inbox.putAside.add(placeOf(row));
      if (wasThere(row, contents)) continue;
      const problem = `${group} has recorded it from ${placeOf(row)}, and nobody has published it`;
      findings.suspect({ invariant: "I8", rule: group, subject: `event ${id}`, problem });
    }
  }
}

/** Whether what the row tells of was published, as far as one can still know. */
function wasThere(row: InboxRow, { index, foreign, ends }: BusContents): boolean {
  if (row.old || index.has(row.event_id) || foreign.has(row.event_id)) return true;
  return row.put_aside && row.offset < (ends.get(`${row.topic}/${row.partition}`) ?? 0);
}

async function checkGroup(
  world: World,
  group: Group,
  { index }: BusContents,
  inboxes: ReadonlyMap<string, Inbox>,
  findings: Findings,
): Promise<void> {
  const inbox = inboxes.get(group.name);
  const missed: KnownEvent[] = [];
  let [deliveries, inFlight] = [0, 0];
  for (const event of index.values()) {
    if (!group.types.has(event.type) || event.offset < 0) continue;
    deliveries += 1;
    if (inbox?.events.has(event.id) || inbox?.putAside.has(placeOf(event))) continue;
    if (hasReadPast(world, group.name, event)) missed.push(event);
    else inFlight += 1;
  }
  findings.looked("I8", "deliveries", deliveries);
  findings.looked("I8", "in flight", inFlight);
  const meant = group.ofSagas ? await thoseOfSagas(world, missed) : missed;
  for (const { id, type, key, ...place } of meant) {
    const problem = `${type} of ${key}: ${group.name} has read past it at ${placeOf(place)}, its inbox has no trace of it`;
    findings.suspect({ invariant: "I8", rule: group.name, subject: `event ${id}`, problem });
  }
}

/** Before the snapshots were taken: what had its effect by then is in them. */
function hasReadPast({ committed }: World, group: string, { topic, partition, offset }: KnownEvent): boolean {
  return offset < (committed.get(committedKey(group, topic, partition)) ?? 0);
}

/** Asked only of events that are missing: reading the payload of every event would take longer than all the rest. */
async function thoseOfSagas(world: World, events: readonly KnownEvent[]): Promise<KnownEvent[]> {
  const meant = new Set<string>();
  for (const database of new Set(events.map((event) => event.database))) {
    const rows = await world.snapshots[database].query<{ id: string }>(
      "select id from outbox_events where id = any($1) and payload->'data'->>'sagaId' is not null",
      [events.filter((event) => event.database === database).map(({ id }) => id)],
    );
    for (const { id } of rows) meant.add(id);
  }
  return events.filter(({ id }) => meant.has(id));
}
