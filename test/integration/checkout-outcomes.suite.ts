import { randomUUID } from "node:crypto";
import { TOPICS } from "../../lib/events.ts";
import type { BusRecord } from "../support/bus-probe.ts";
import { ended, order, place, placedOf, productId, sagaOf, stockOf } from "../support/shop.ts";
import { until } from "../support/until.ts";
import type { Shared } from "../support/use-system.ts";

const unknownId = () => randomUUID();

/** What becomes of an order, and where one can see it. */
export function outcomes(shared: () => Shared): void {
  test("is accepted at once, and ends created with its stock reserved and its saga completed", async () => {
    const { system } = shared();
    const { plenty } = system.demo.products;
    const hammer = await productId(system, "HAMMER-16");
    const [nails, hammers] = [await stockOf(system, plenty), await stockOf(system, hammer)];

    const answer = await place(system, [
      { productId: plenty, quantity: 3 },
      { productId: hammer, quantity: 2 },
    ]);
    const { orderId, sagaId } = placedOf(answer);
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual({ orderId, sagaId, status: "processing" });
    expect(answer.headers.location).toBe(`/api/orders/${orderId}`);

    const created = await ended(system, orderId);
    expect(created).toMatchObject({
      orderId,
      sagaId,
      status: "created",
      currency: "EUR",
      totalMinor: 3 * 499 + 2 * 2_450,
      items: [
        { productId: plenty, sku: "NAIL-PLENTY", quantity: 3, priceMinor: 499 },
        { productId: hammer, sku: "HAMMER-16", quantity: 2, priceMinor: 2_450 },
      ],
    });
    expect(created).not.toHaveProperty("reason");
    expect(created.timeline.map(({ status }) => status)).toEqual(["draft", "created"]);
    const times = created.timeline.map(({ at }) => Date.parse(at));
    expect(times).toEqual([...times].sort((a, b) => a - b));

    const { available, reserved } = nails;
    await expect(stockOf(system, plenty)).resolves.toEqual({
      ...nails,
      available: available - 3,
      reserved: reserved + 3,
    });
    await expect(stockOf(system, hammer)).resolves.toEqual({
      ...hammers,
      available: hammers.available - 2,
      reserved: hammers.reserved + 2,
    });
    await expect(sagaOf(system, sagaId)).resolves.toMatchObject({
      sagaId,
      orderId,
      type: "CREATE_ORDER",
      state: "COMPLETED",
      currentStep: null,
      steps: ["quoteItems", "draftOrder", "validateCustomer", "reserveStock", "confirmOrder"].map((name) => ({
        name,
        status: "SUCCEEDED",
        startedAt: expect.any(String),
        endedAt: expect.any(String),
      })),
    });
  });

  test("is told on the bus: each event under its aggregate's id, with its headers, in order", async () => {
    const { system, probe } = shared();
    const correlationId = `test-${randomUUID()}`;
    const { orderId, sagaId } = await order(
      system,
      [{ productId: system.demo.products.plenty, quantity: 1 }],
      { correlationId },
    );
    await ended(system, orderId);
    const eventsOf = async (topic: string, count: number) =>
      until(`${count} events on ${topic}`, async () => {
        const found = (await probe.records(topic)).filter(
          ({ headers }) => headers["correlation-id"] === correlationId,
        );
        return found.length >= count && found;
      });
    const orders = await eventsOf(TOPICS.orders.name, 2);
    const products = await eventsOf(TOPICS.products.name, 1);
    const commands = await eventsOf(TOPICS.sagaCommands.name, 1);
    expect(orders.map(typeOf)).toEqual(["ORDER_CREATED", "ORDER_CONFIRMED"]);
    expect(products.map(typeOf)).toEqual(["STOCK_RESERVED"]);
    expect(commands.map(typeOf)).toEqual(["RESERVE_STOCK"]);
    expect([...orders, ...products].map(({ key }) => key)).toEqual([orderId, orderId, orderId]);
    expect(commands.map(({ key }) => key)).toEqual([sagaId]);
    for (const records of [orders, products, commands]) {
      expect(new Set(records.map(({ partition }) => partition)).size).toBe(1);
      records.forEach((record, index) => {
        expectEnvelope(record, { correlationId, version: index + 1 });
      });
    }
    expect(orders.map(dataOf)).toEqual([
      {
        orderId,
        customerId: expect.any(String),
        totalMinor: 499,
        currency: "EUR",
        items: [{ productId: system.demo.products.plenty, quantity: 1 }],
      },
      { orderId, customerId: expect.any(String), totalMinor: 499, currency: "EUR" },
    ]);
  });

  test("carries its caller's correlation id into the answer and the log of every service that moves it", async () => {
    const { system } = shared();
    const correlationId = `trace-${randomUUID()}`;
    const answer = await place(system, [{ productId: system.demo.products.plenty, quantity: 1 }], {
      correlationId,
    });
    expect(answer.headers["x-correlation-id"]).toBe(correlationId);
    const { orderId } = placedOf(answer);
    await ended(system, orderId);
    const services = await until("saga, product and order have logged it", () => {
      const lines = system
        .output()
        .split("\n")
        .filter((line) => line.includes(correlationId));
      const logged = new Set(lines.map((line) => /"svc":"(\w+)"/.exec(line)?.[1]));
      return ["saga", "product", "order"].every((name) => logged.has(name)) && lines;
    });
    for (const line of services) {
      expect(JSON.parse(line.slice(line.indexOf("{")))).toMatchObject({ correlationId, orderId });
    }
  });

  test("with one of three lines out of stock reserves nothing, and ends cancelled with the reason", async () => {
    const { system } = shared();
    const { soldOut } = system.demo.products;
    const [hammer, saw] = [await productId(system, "HAMMER-16"), await productId(system, "SAW-RIP-500")];
    const before = [await stockOf(system, hammer), await stockOf(system, saw)];
    const { orderId, sagaId } = await order(system, [
      { productId: hammer, quantity: 1 },
      { productId: soldOut, quantity: 1 },
      { productId: saw, quantity: 1 },
    ]);
    const cancelled = await ended(system, orderId);
    const reason = { code: "OUT_OF_STOCK", message: expect.stringContaining(soldOut) };
    expect(cancelled).toMatchObject({ status: "cancelled", reason });
    expect(cancelled.timeline).toEqual([
      { status: "draft", at: expect.any(String) },
      { status: "cancelled", at: expect.any(String), reason },
    ]);
    expect(cancelled.items).toHaveLength(3);
    expect([await stockOf(system, hammer), await stockOf(system, saw)]).toEqual(before);
    await expect(sagaOf(system, sagaId)).resolves.toMatchObject({
      state: "COMPENSATED",
      error: { code: "OUT_OF_STOCK" },
    });
    const lines = await system.sql("product", "select 1 from stock_reservations where order_id = $1", [
      orderId,
    ]);
    expect(lines).toEqual([]);
  });

  test("of an inactive customer, and one for a customer that does not exist, is cancelled with the reason", async () => {
    const { system } = shared();
    const items = [{ productId: system.demo.products.plenty, quantity: 1 }];
    const before = await stockOf(system, system.demo.products.plenty);
    const { orderId } = await order(system, items, { as: "inactiveCustomer" });
    const cancelled = await ended(system, orderId, { as: "inactiveCustomer" });
    expect(cancelled).toMatchObject({ status: "cancelled", reason: { code: "CUSTOMER_INACTIVE" } });

    const answer = await system.api("/orders", {
      as: "staff",
      key: randomUUID(),
      body: { items, customerId: unknownId() },
    });
    expect(answer.status).toBe(202);
    const forNobody = await ended(system, placedOf(answer).orderId, { as: "staff" });
    expect(forNobody).toMatchObject({ status: "cancelled", reason: { code: "CUSTOMER_NOT_FOUND" } });
    await expect(stockOf(system, system.demo.products.plenty)).resolves.toEqual(before);
  });

  test("of a product that does not exist is cancelled with the reason", async () => {
    const { system } = shared();
    const unknown = unknownId();
    const { orderId } = await order(system, [
      { productId: system.demo.products.plenty, quantity: 1 },
      { productId: unknown, quantity: 1 },
    ]);
    const cancelled = await ended(system, orderId);
    expect(cancelled).toMatchObject({
      status: "cancelled",
      reason: { code: "PRODUCT_NOT_FOUND", message: expect.stringContaining(unknown) },
    });
  });

  test("is nobody's business but its owner's and the staff's", async () => {
    const { system } = shared();
    const { orderId, sagaId } = await order(system, [
      { productId: system.demo.products.plenty, quantity: 1 },
    ]);
    await ended(system, orderId);
    for (const path of [`/orders/${orderId}`, `/orders/${orderId}/status`, `/orders/saga/${sagaId}`]) {
      const [owner, staff, other] = await Promise.all([
        system.api(path),
        system.api(path, { as: "staff" }),
        system.api(path, { as: "otherCustomer" }),
      ]);
      expect([owner.status, staff.status, other.status]).toEqual([200, 200, 404]);
      // Not to be told from one that does not exist.
      const missing = await system.api(path.replace(/[^/]{36}/, unknownId()), { as: "otherCustomer" });
      expect(missing.status).toBe(404);
      expect(missing.body?.code).toBe(other.body?.code);
    }
    const list = await system.api("/orders?limit=100", { as: "otherCustomer" });
    expect(list.text).not.toContain(orderId);
  });
}

const typeOf = ({ headers }: BusRecord) => headers["event-type"];
const dataOf = ({ value }: BusRecord): unknown => JSON.parse(value).data;

function expectEnvelope(record: BusRecord, about: { correlationId: string; version: number }): void {
  const { key, headers, value } = record;
  expect(headers).toMatchObject({
    "event-id": expect.stringMatching(/^[0-9a-f-]{36}$/),
    "correlation-id": about.correlationId,
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  });
  expect(JSON.parse(value)).toMatchObject({
    eventId: headers["event-id"],
    eventType: headers["event-type"],
    aggregateId: key,
    aggregateVersion: about.version,
    timestamp: headers.timestamp,
    version: expect.any(Number),
    correlationId: about.correlationId,
  });
}
