import { randomUUID } from "node:crypto";
import { TOPICS } from "../../lib/events.ts";
import { type BusProbe, type BusRecord, taken } from "../support/bus-probe.ts";
import { ended, order, productId } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

/** Who reads which topic. */
const commands = { topic: TOPICS.sagaCommands, group: "product-service-group" };
const answers = { topic: TOPICS.products, group: "saga-service-group" };
const routes = [commands, answers];

/** All that a second effect of a message about these orders would change. */
async function effects(system: System, orderIds: readonly string[]): Promise<unknown> {
  const of = (database: "order" | "product" | "saga", text: string) => system.sql(database, text, [orderIds]);
  return {
    stock: await system.sql("product", "select sku, available, reserved, sold from products order by sku"),
    held: await of(
      "product",
      `select order_id, product_id, quantity, status from stock_reservations
       where order_id = any($1) order by order_id, product_id`,
    ),
    heads: await of(
      "product",
      "select order_id, status from order_reservations where order_id = any($1) order by order_id",
    ),
    orders: await of(
      "order",
      "select id, status, version, event_version from orders where id = any($1) order by id",
    ),
    history: await of(
      "order",
      "select order_id, status from order_status_history where order_id = any($1) order by order_id, version",
    ),
    sagas: await of(
      "saga",
      "select id, state, published, progress from saga_instances where business_key = any($1) order by id",
    ),
  };
}

/** One order that was created and one that found no stock, both ended. */
async function endedOrders(system: System): Promise<{ orderIds: string[]; sagaIds: string[] }> {
  const hammer = await productId(system, "HAMMER-16");
  const created = await order(system, [{ productId: hammer, quantity: 2 }]);
  const cancelled = await order(system, [{ productId: system.demo.products.soldOut, quantity: 1 }]);
  const found = [await ended(system, created.orderId), await ended(system, cancelled.orderId)];
  expect(found.map(({ status }) => status)).toEqual(["created", "cancelled"]);
  return {
    orderIds: [created.orderId, cancelled.orderId],
    sagaIds: [created.sagaId, cancelled.sagaId],
  };
}

async function recordsAbout(probe: BusProbe, orderIds: readonly string[], count: number) {
  return until(`${count} messages about the orders`, async () => {
    const found = await Promise.all(routes.map(({ topic }) => probe.records(topic.name)));
    const about = found.flat().filter(({ value }) => orderIds.some((id) => value.includes(id)));
    return about.length >= count && about;
  });
}

/** Publishes all of them and waits until whoever reads them has had each. */
async function publishAll(probe: BusProbe, records: readonly BusRecord[]): Promise<void> {
  const published: BusRecord[] = [];
  for (const record of records) published.push(await probe.publish(record));
  for (const record of published) {
    const route = routes.find(({ topic }) => topic.name === record.topic);
    if (route !== undefined) await taken(probe, route.group, record);
  }
}

/** The same message as another event: with an id of its own, so that no inbox knows it. */
function asNewEvent(record: BusRecord): BusRecord {
  const eventId = randomUUID();
  const value = JSON.stringify({ ...JSON.parse(record.value), eventId });
  return { ...record, value, headers: { ...record.headers, "event-id": eventId } };
}

const placeIn = ({ topic, partition, offset }: { topic: string; partition: number; offset: number }) =>
  `${topic}/${partition}/${offset}`;

interface Poison {
  readonly kind: string;
  readonly value: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly reason: RegExp;
  readonly attempts: number;
}

const envelope = (eventType: string, more: object, eventId: string = randomUUID()) =>
  JSON.stringify({
    eventId,
    eventType,
    aggregateId: randomUUID(),
    aggregateType: "test",
    aggregateVersion: 1,
    timestamp: new Date().toISOString(),
    version: 1,
    correlationId: "poison",
    ...more,
  });

const reserve = (data: object) => ({
  data: { orderId: randomUUID(), sagaId: randomUUID(), items: [], ...data },
});
const lineOf = (id: string, quantity = 1) => [{ productId: id, quantity }];

const unreadable: readonly Poison[] = [
  { kind: "text that is not JSON", value: "{not json", reason: /not JSON/, attempts: 1 },
  { kind: "nothing at all", value: "", reason: /not JSON/, attempts: 1 },
  { kind: "JSON that is no event", value: '{"hello":"world"}', reason: /eventId/, attempts: 1 },
  {
    kind: "an event of an unknown type",
    value: envelope("NO_SUCH_EVENT", {}),
    reason: /NO_SUCH/,
    attempts: 1,
  },
];
const unfit: readonly Poison[] = [
  {
    kind: "a command that breaks its schema",
    value: envelope("RESERVE_STOCK", reserve({})),
    headers: { "event-type": "RESERVE_STOCK", "correlation-id": "poison" },
    reason: /RESERVE_STOCK.*items/,
    attempts: 1,
  },
  {
    kind: "a command whose order id PostgreSQL refuses",
    value: envelope("RESERVE_STOCK", reserve({ orderId: "order-1", items: lineOf(randomUUID()) })),
    reason: /uuid/,
    attempts: 5,
  },
  {
    kind: "a command for more than PostgreSQL can count",
    value: envelope(
      "RESERVE_STOCK",
      reserve({ items: lineOf("01990000-0000-7000-8000-0000000000a1", 1e300) }),
    ),
    reason: /./,
    attempts: 5,
  },
  {
    kind: "a command whose event id looks like one and is none",
    value: envelope("RESERVE_STOCK", reserve({ items: lineOf(randomUUID()) }), "-".repeat(36)),
    reason: /./,
    attempts: 1,
  },
];
const unfitAnswers: readonly Poison[] = [
  {
    kind: "an answer that breaks its schema",
    value: envelope("STOCK_RESERVED", { data: { orderId: randomUUID() } }),
    headers: { "event-type": "STOCK_RESERVED" },
    reason: /STOCK_RESERVED/,
    attempts: 1,
  },
  {
    kind: "an answer for a saga whose id PostgreSQL refuses",
    value: envelope("STOCK_RESERVED", {
      data: { orderId: randomUUID(), sagaId: "saga-1", items: lineOf(randomUUID()), expiresAt: "soon" },
    }),
    reason: /uuid/,
    attempts: 5,
  },
];

/** What happens to messages that come twice, late, in the wrong order, or are rubbish. */
export function messages(shared: () => Shared): void {
  test("that comes again, in whatever order, has no second effect", async () => {
    const { system, probe } = shared();
    const { orderIds } = await endedOrders(system);
    const about = await recordsAbout(probe, orderIds, 4);
    const before = await effects(system, orderIds);
    await publishAll(probe, [...about].reverse());
    await publishAll(probe, about);
    await expect(effects(system, orderIds)).resolves.toEqual(before);
  });

  test("that says the same under a new event id changes nothing for sagas that have ended", async () => {
    const { system, probe } = shared();
    const { orderIds, sagaIds } = await endedOrders(system);
    const about = await recordsAbout(probe, orderIds, 4);
    const before = await effects(system, orderIds);
    const reserved = about.filter(({ headers }) => headers["event-type"] === "STOCK_RESERVED");
    const [created, cancelled] = orderIds.map((orderId, index) => ({ orderId, sagaId: sagaIds[index] }));
    // Also a success for the saga that was told of a failure, and has undone everything since.
    const mistaken = reserved.map((record) => {
      const text = record.value.replaceAll(created?.orderId ?? "", cancelled?.orderId ?? "");
      return { ...record, value: text.replaceAll(created?.sagaId ?? "", cancelled?.sagaId ?? "") };
    });
    const copies = about.filter(({ headers }) => headers["event-type"] !== "RELEASE_STOCK");
    await publishAll(probe, [...copies, ...mistaken].map(asNewEvent));
    await expect(effects(system, orderIds)).resolves.toEqual(before);
  });

  test("that releases an order's stock before it is reserved leaves nothing reserved", async () => {
    const { system, probe } = shared();
    const [orderId, sagaId] = [randomUUID(), randomUUID()];
    const items = lineOf(system.demo.products.plenty, 7);
    const before = await effects(system, []);
    const record = (eventType: string, data: object): BusRecord => ({
      topic: commands.topic.name,
      partition: 0,
      offset: -1,
      key: sagaId,
      value: envelope(eventType, { data: { orderId, sagaId, items, ...data } }),
      headers: { "event-type": eventType },
    });
    await publishAll(probe, [record("RELEASE_STOCK", { reason: "TIMEOUT" }), record("RESERVE_STOCK", {})]);
    await expect(effects(system, [])).resolves.toEqual(before);
    const heads = await system.sql("product", "select status from order_reservations where order_id = $1", [
      orderId,
    ]);
    expect(heads).toEqual([{ status: "RELEASED" }]);
  });

  test.each([
    { name: "commands", route: commands, kinds: [...unreadable, ...unfit] },
    { name: "answers", route: answers, kinds: [...unreadable, ...unfitAnswers] },
  ])(
    "that nobody can use among the $name becomes a dead letter, and the partition goes on",
    async ({ route: { topic, group }, kinds }) => {
      const { system, probe } = shared();
      const sent: { record: BusRecord; poison: Poison }[] = [];
      // In every partition: whichever an order takes, it has to get past them.
      for (let partition = 0; partition < topic.partitions; partition += 1) {
        for (const poison of kinds) {
          const { value, headers = {} } = poison;
          const record = { topic: topic.name, partition, key: `poison-${randomUUID()}`, value, headers };
          sent.push({ poison, record: await probe.publish(record) });
        }
      }
      const { orderId } = await order(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);
      await expect(ended(system, orderId, { timeoutMs: 60_000 })).resolves.toMatchObject({
        status: "created",
      });
      for (const { record } of sent) await taken(probe, group, record);
      const letters = await until(
        "each of them is a dead letter",
        async () => {
          const found = (await probe.records(TOPICS.deadLetters.name)).map(letterOf);
          const byPlace = new Map(found.map((letter) => [placeIn(letter), letter]));
          const missing = sent.filter(({ record }) => !byPlace.has(placeIn(record)));
          if (missing.length > 0) throw new Error(`no letter: ${missing.map(({ poison }) => poison.kind)}`);
          return byPlace;
        },
        { timeoutMs: 60_000 },
      );
      for (const { record, poison } of sent) {
        const letter = letters.get(placeIn(record));
        expect({ kind: poison.kind, ...letter }).toMatchObject({
          kind: poison.kind,
          source: group,
          key: record.key,
          value: record.value,
          headers: record.headers,
          attempts: poison.attempts,
          error: { type: expect.any(String), message: expect.stringMatching(poison.reason) },
        });
      }
    },
    120_000,
  );
}

function letterOf({ value, headers }: BusRecord) {
  expect(headers["event-type"]).toBe("DEAD_LETTER");
  const { data } = JSON.parse(value);
  return { ...data, offset: Number(data.offset) } as BusRecord & { attempts: number; error: object };
}
