import { randomUUID } from "node:crypto";
import { type BusProbe, type BusRecord, taken } from "../support/bus-probe.ts";
import { answers, commands, envelope, lineOf } from "../support/forged-messages.ts";
import { ended, order, productId } from "../support/shop.ts";
import type { System } from "../support/system.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

/** All that a second effect of a message about these orders would change. */
async function effects(system: System, orderIds: readonly string[]) {
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

/** Events that the services have told, whatever about. */
async function told(system: System): Promise<readonly number[]> {
  const count = async (database: "order" | "product" | "saga") => {
    const text = "select count(*)::int as count from outbox_events";
    return (await system.sql<{ count: number }>(database, text))[0]?.count ?? -1;
  };
  return [await count("order"), await count("product"), await count("saga")];
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

const routes = [commands, answers];

/** What happens to messages that come twice, late, or in the wrong order. */
export function messages(shared: () => Shared): void {
  test("that comes again, in whatever order, has no second effect", async () => {
    const { system, probe } = shared();
    const { orderIds } = await endedOrders(system);
    const about = await recordsAbout(probe, orderIds, 4);
    const before = { ...(await effects(system, orderIds)), told: await told(system) };
    await publishAll(probe, [...about].reverse());
    await publishAll(probe, about);
    expect({ ...(await effects(system, orderIds)), told: await told(system) }).toEqual(before);
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
}
