import type { Plant } from "./audit-plant.ts";
import { ID } from "./audit-stories.ts";
import { type Tables, uuid } from "./audit-tables.ts";

/** Violations among events: outboxes, bus, inboxes, dead letters. */

/** The id of an aggregate's event. */
function eventOf(scene: Tables, aggregate: string, key: string, type: string): string {
  const rows = [...scene.rows]
    .filter(([table]) => table.endsWith(".outbox_events"))
    .flatMap(([, all]) => all);
  const row = rows.find(
    (one) => one.aggregate_type === aggregate && one.aggregate_id === key && one.event_type === type,
  );
  if (row === undefined) throw new Error(`the scene has no ${type} of ${aggregate} ${key}`);
  return String(row.id);
}

const eventAt = (aggregate: string, key: string, type: string) => (scene: Tables) => [
  `event ${eventOf(scene, aggregate, key, type)}`,
];
const [ordered, confirmed] = [
  (scene: Tables) => eventOf(scene, "order", ID.created, "ORDER_CREATED"),
  (scene: Tables) => eventOf(scene, "order", ID.created, "ORDER_CONFIRMED"),
];
const forget = (eventId: string) =>
  `delete from outbox_events where id = '${eventId}'; delete from outbox_delivery where event_id = '${eventId}'`;

const EVENTS: readonly Plant[] = [
  {
    name: "an event that counts as published and is not on the bus",
    invariant: "I7",
    statements: (scene) => ({ bus: `delete from bus_log where strpos(headers, '${confirmed(scene)}') > 0` }),
    subjects: eventAt("order", ID.created, "ORDER_CONFIRMED"),
  },
  {
    name: "an event that has been waiting for an hour",
    invariant: "I7",
    statements: (scene) => ({
      order: `update outbox_delivery set status = 'PENDING' where event_id = '${confirmed(scene)}';
              update outbox_events set created_at = now() - interval '1 hour' where id = '${confirmed(scene)}'`,
    }),
    subjects: eventAt("order", ID.created, "ORDER_CONFIRMED"),
  },
  {
    name: "a gap in the versions of an aggregate",
    invariant: "I7",
    statements: (scene) => ({ order: forget(ordered(scene)) }),
    subjects: [`order ${ID.created}`],
  },
  {
    name: "an aggregate whose last event is missing",
    invariant: "I7",
    statements: (scene) => ({ order: forget(confirmed(scene)) }),
    subjects: [`order ${ID.created}`],
  },
  {
    name: "events of an aggregate in the wrong order on the bus",
    invariant: "I7",
    statements: (scene) => ({
      bus: `update bus_log set headers = case
              when strpos(headers, '${ordered(scene)}') > 0 then replace(headers, '${ordered(scene)}', '${confirmed(scene)}')
              else replace(headers, '${confirmed(scene)}', '${ordered(scene)}') end
            where key = '${ID.created}' and topic = 'oms.orders.events'`,
    }),
    subjects: eventAt("order", ID.created, "ORDER_CONFIRMED"),
  },
  {
    name: "an event under a key that is not its aggregate's",
    invariant: "I7",
    statements: (scene) => ({
      bus: `update bus_log set key = 'somebody' where strpos(headers, '${confirmed(scene)}') > 0`,
    }),
    subjects: eventAt("order", ID.created, "ORDER_CONFIRMED"),
  },
  {
    name: "an event that its group has read past without a trace",
    invariant: "I8",
    statements: {
      saga: `delete from processed_events where event_type = 'STOCK_RESERVATION_FAILED'`,
    },
    subjects: eventAt("reservation", ID.refused, "STOCK_RESERVATION_FAILED"),
  },
  {
    name: "a trace of an event that nobody has published",
    invariant: "I8",
    statements: {
      product: `insert into processed_events (consumer_group, event_id, event_type, topic, partition, "offset", result)
                values ('product-service-group', '${uuid(0x888)}', 'RESERVE_STOCK', 'oms.saga.commands', 0, 999, 'PROCESSED')`,
    },
    subjects: [`event ${uuid(0x888)}`],
  },
];

const LETTERS: readonly Plant[] = [
  {
    name: "a dead letter that does not say why",
    invariant: "I10",
    statements: {
      product: `update outbox_events set payload = jsonb_set(payload::jsonb, '{data,error}', '""')::json
                where event_type = 'DEAD_LETTER' and aggregate_id = '${uuid(0xbad)}'`,
    },
    subjects: (scene) => [`dead letter ${eventOf(scene, "dead-letter", uuid(0xbad), "DEAD_LETTER")}`],
  },
  {
    name: "an event that the bus refused, and nobody tells of it",
    invariant: "I10",
    statements: {
      product: `delete from outbox_delivery d using outbox_events e
                where e.position = d.position and e.event_type = 'DEAD_LETTER' and e.aggregate_id <> '${uuid(0xbad)}';
                delete from outbox_events where event_type = 'DEAD_LETTER' and aggregate_id <> '${uuid(0xbad)}'`,
    },
    subjects: eventAt("product", ID.lamps, "STOCK_ADJUSTED"),
  },
  {
    name: "a message that was put aside, and nobody tells of it",
    invariant: "I10",
    statements: {
      product: `delete from outbox_delivery d using outbox_events e
                where e.position = d.position and e.event_type = 'DEAD_LETTER' and e.aggregate_id = '${uuid(0xbad)}';
                delete from outbox_events where event_type = 'DEAD_LETTER' and aggregate_id = '${uuid(0xbad)}'`,
    },
    subjects: [`event ${uuid(0xbad)}`],
  },
  {
    name: "a letter on the bus that somebody else wrote, without its reason",
    invariant: "I10",
    statements: {
      bus: `insert into bus_log values ('oms.dlq', 0, 99, 'x', '{"data":{"topic":"t","partition":0,"offset":"1"}}', '{}')`,
    },
    subjects: ["dead letter at oms.dlq/0/99"],
  },
];

export const EVENT_PLANTS: readonly Plant[] = [...EVENTS, ...LETTERS];
