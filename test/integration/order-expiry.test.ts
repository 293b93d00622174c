import { randomUUID } from "node:crypto";
import { ServiceBroker } from "moleculer";
import { type Database, withTransaction } from "../../lib/database.ts";
import { type DomainEvent, EVENTS } from "../../lib/events.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { appendEvents } from "../../mixins/outbox.store.ts";
import { type CommandContext, carryOut, draftOrders } from "../../services/order/order.commands.ts";
import { expireOrders } from "../../services/order/order.expiry.ts";
import type { OrderCommand } from "../../services/order/order.ts";
import { run, useServer } from "../support/service-database.ts";

/** What becomes of an order whose reservation has expired, on a real PostgreSQL. */

const server = useServer();

async function openOrders() {
  const { url, open } = await server.fresh("order");
  const database: Database = open();
  const broker = new ServiceBroker({ logger: false });
  const context: CommandContext = {
    database,
    metrics: metricsOf(broker),
    logger: broker.logger,
    enqueueEvents: (tx, events) =>
      appendEvents(
        tx,
        events.map((event) => ({ ...event, ...EVENTS[event.type] })),
      ),
  };
  return {
    /** A new order, after these commands. */
    async order(...commands: readonly OrderCommand[]) {
      const orderId = randomUUID();
      const items = [{ productId: randomUUID(), sku: "sku", quantity: 2, priceMinor: 100 }];
      const [customerId, sagaId] = [randomUUID(), randomUUID()];
      const params = { orderId, sagaId, customerId, items, totalMinor: 200, currency: "EUR" };
      await draftOrders(context, [{ params, correlationId: "test" }]);
      for (const command of commands) {
        await carryOut(context, command, [{ params: { orderId }, correlationId: "test" }]);
      }
      return orderId;
    },
    released: (reason: string, ...orderIds: readonly string[]) =>
      withTransaction(database, (tx) =>
        expireOrders(
          tx,
          context,
          orderIds.map((orderId) => stockReleased(orderId, reason)),
        ),
      ),
    async of(orderId: string) {
      const [order] = await run<{ status: string; reason_code: string | null }>(
        url,
        `select status, reason_code from orders where id = '${orderId}'`,
      );
      const told = await run<{ event_type: string }>(
        url,
        `select event_type from outbox_events where aggregate_id = '${orderId}' and event_type = 'ORDER_CANCELLED'`,
      );
      return { status: order?.status, reason: order?.reason_code ?? undefined, told: told.length };
    },
  };
}

function stockReleased(orderId: string, reason: string): DomainEvent {
  return {
    eventId: randomUUID(),
    eventType: "STOCK_RELEASED",
    aggregateId: orderId,
    aggregateType: "reservation",
    aggregateVersion: 2,
    timestamp: new Date().toISOString(),
    version: 1,
    correlationId: "test",
    data: { orderId, items: [], reason },
  };
}

const EXPIRED = "RESERVATION_EXPIRED";
const CANCELLED = { status: "cancelled", reason: EXPIRED, told: 1 };

test.each([
  ["draft", []],
  ["created", ["confirm"]],
] as const)("an order that is %s is cancelled, and that is told once", async (_status, commands) => {
  const { order, released, of } = await openOrders();
  const orderId = await order(...commands);
  await released(EXPIRED, orderId);
  await released(EXPIRED, orderId);
  await expect(of(orderId)).resolves.toEqual(CANCELLED);
});

test.each([
  ["paying", ["confirm", "startPaying"]],
  ["paid", ["confirm", "startPaying", "confirmPaid"]],
  ["cancelling", ["confirm", "requestCancellation"]],
] as const)("an order that is %s is left, and holds up no other", async (status, commands) => {
  const { order, released, of } = await openOrders();
  const [left, expired] = [await order(...commands), await order("confirm")];
  await released(EXPIRED, left, randomUUID(), expired);
  await expect(of(left)).resolves.toMatchObject({ status, told: 0 });
  await expect(of(expired)).resolves.toEqual(CANCELLED);
});

test("stock that was released for another reason cancels nothing", async () => {
  const { order, released, of } = await openOrders();
  const orderId = await order("confirm");
  await released("CANCELLED_BY_CUSTOMER", orderId);
  await expect(of(orderId)).resolves.toMatchObject({ status: "created", told: 0 });
});
