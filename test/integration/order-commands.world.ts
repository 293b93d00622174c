import { randomUUID } from "node:crypto";
import { ServiceBroker } from "moleculer";
import type { Actions } from "../../lib/actions.ts";
import type { Database } from "../../lib/database.ts";
import { EVENTS } from "../../lib/events.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { appendEvents } from "../../mixins/outbox.store.ts";
import { type CommandContext, carryOut } from "../../services/order/order.commands.ts";
import { draftOrders } from "../../services/order/order.drafts.ts";
import type { OrderCommand } from "../../services/order/order.ts";
import { run, type TestServer } from "../support/service-database.ts";

type Draft = Actions["order.draft"]["params"];

export function draftParams(orderId: string = randomUUID()): Draft {
  const items = [{ productId: randomUUID(), sku: "sku", quantity: 2, priceMinor: 100 }];
  const [customerId, sagaId] = [randomUUID(), randomUUID()];
  return { orderId, sagaId, customerId, items, totalMinor: 200, currency: "EUR" };
}

/** The commands of the order service on a database of its own, without the service around them. */
export async function openCommands(server: TestServer) {
  const { url, open } = await server.fresh("order");
  const database: Database = open({ lockTimeoutMs: 20_000, statementTimeoutMs: 20_000 });
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
    database,
    context,
    /** A new order, after these commands. */
    async order(...commands: readonly OrderCommand[]) {
      const params = draftParams();
      await draftOrders(context, [{ params, correlationId: "test" }]);
      const { orderId } = params;
      for (const command of commands) {
        await carryOut(context, command, [{ params: { orderId }, correlationId: "test" }]);
      }
      return orderId;
    },
    /** What there is of an order, and how often its end was told. */
    async of(orderId: string) {
      const [order] = await run<{ status: string; reason_code: string | null }>(
        url,
        "select status, reason_code from orders where id = $1",
        [orderId],
      );
      const told = await run(
        url,
        "select from outbox_events where aggregate_id = $1 and event_type = 'ORDER_CANCELLED'",
        [orderId],
      );
      return { status: order?.status, reason: order?.reason_code ?? undefined, told: told.length };
    },
  };
}
