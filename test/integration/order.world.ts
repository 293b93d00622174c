import { randomUUID } from "node:crypto";
import { ServiceBroker } from "moleculer";
import type { ActionName, Actions } from "../../lib/actions.ts";
import { closeBus } from "../../lib/bus/broker-bus.ts";
import { openBus } from "../../lib/bus/open-bus.ts";
import { loadConfig } from "../../lib/config.ts";
import type { OrderStatus } from "../../lib/contracts.ts";
import { callAction } from "../../lib/define.ts";
import { drain } from "../../lib/drain.ts";
import { TOPICS } from "../../lib/events.ts";
import { run, type TestServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";

type Name = "order" | "product" | "customer" | "saga";

/** All that it takes to create orders, in one process, on databases and a bus of its own. */
export interface OrderWorld {
  call<Action extends ActionName>(
    action: Action,
    params: Actions[Action]["params"],
  ): Promise<Actions[Action]["result"]>;
  sql<Row extends object>(name: Name, text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Of this product there is one hundred. */
  readonly productId: string;
  /** An order of two, created by its saga. */
  created(): Promise<string>;
  /** What became of an order, once it is in this status. */
  has(orderId: string, status: OrderStatus): Promise<{ path: string[]; reason: string | undefined }>;
  stop(): Promise<void>;
}

export async function openOrders(server: TestServer, env: NodeJS.ProcessEnv = {}): Promise<OrderWorld> {
  const names = ["order", "product", "customer", "saga"] as const;
  const urls = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, (await server.fresh(name)).url] as const)),
  );
  const log = await server.fresh("bus");
  for (const name of names) process.env[`${name.toUpperCase()}_DATABASE_URL`] = urls[name];
  Object.assign(process.env, { BUS_DATABASE_URL: log.url, LOG_LEVEL: "fatal", ...env });
  const bus = openBus(loadConfig({ BUS_DATABASE_URL: log.url }));
  await bus.ensureTopics(Object.values(TOPICS));
  await bus.close();
  const broker = new ServiceBroker({ logger: false, validator: true, middlewares: [drain(), closeBus] });
  for (const name of names) {
    const { default: schema } = await import(`../../services/${name}/${name}.service.ts`);
    broker.createService(schema);
  }
  await broker.start();
  const sql: OrderWorld["sql"] = (name, text, values) => run(urls[name] ?? "", text, values);
  const call: OrderWorld["call"] = (action, params) => callAction(broker, action, params);
  const [productId, customerId] = [randomUUID(), randomUUID()];
  await sql(
    "product",
    "insert into products (id, sku, name, price_minor, currency, available) values ($1, 'nails', 'Nails', 100, 'EUR', 100)",
    [productId],
  );
  await sql(
    "customer",
    "insert into customers (id, name, email, status) values ($1, 'A', 'a@example.org', 'active')",
    [customerId],
  );
  const has: OrderWorld["has"] = async (orderId, status) => {
    const order = await until(`order ${orderId} is ${status}`, async () => {
      const found = await call("order.get", { orderId });
      return found.status === status && found;
    });
    return { path: order.timeline.map((entry) => entry.status), reason: order.reason?.code };
  };
  return {
    call,
    sql,
    productId,
    has,
    async created() {
      const { body } = await call("saga.createOrder", {
        orderId: randomUUID(),
        customerId,
        items: [{ productId, quantity: 2 }],
        idempotency: {
          subject: customerId,
          key: randomUUID(),
          operation: "POST /orders",
          requestHash: "hash",
        },
      });
      await has(body.orderId, "created");
      return body.orderId;
    },
    stop: () => broker.stop(),
  };
}
