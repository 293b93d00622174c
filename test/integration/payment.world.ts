import { randomUUID } from "node:crypto";
import { ServiceBroker, type ServiceSchema } from "moleculer";
import type { ActionName, Actions } from "../../lib/actions.ts";
import { closeBus } from "../../lib/bus/broker-bus.ts";
import { openBus } from "../../lib/bus/open-bus.ts";
import { loadConfig } from "../../lib/config.ts";
import { callAction } from "../../lib/define.ts";
import { drain } from "../../lib/drain.ts";
import { type DomainEvent, type EventData, TOPICS } from "../../lib/events.ts";
import type { Provider } from "../../services/payment/psp/port.ts";
import { run, type TestServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";

/** The payment service alone, on a database and a bus of its own. */
export interface PaymentWorld {
  readonly url: string;
  readonly broker: ServiceBroker;
  call<Name extends ActionName>(
    action: Name,
    params: Actions[Name]["params"],
  ): Promise<Actions[Name]["result"]>;
  /** A payment of its own order; answers its ids. */
  tried(paymentMethod?: string, amountMinor?: number): Promise<Tried>;
  captured(amountMinor?: number): Promise<Tried>;
  sql<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Events about an order that have reached the bus. */
  events(orderId: string): readonly DomainEvent[];
  /** Waits until that many events of a type have been told of an order. */
  told(orderId: string, type: DomainEvent["eventType"], count?: number): Promise<DomainEvent>;
  /** Another process with the same database; `wrap` puts something before its provider. */
  node(wrap?: Wrap): Promise<PaymentNode>;
  send(data: EventData["REFUND_PAYMENT"], eventId?: string): Promise<void>;
  stop(): Promise<void>;
}

export type PaymentNode = Pick<PaymentWorld, "broker" | "call">;

export interface Tried {
  readonly gid: string;
  readonly orderId: string;
  readonly customerId: string;
  readonly paymentId: string;
}

export const AMOUNT = 12_345;

export function params(paymentMethod = "sim_ok", amountMinor = AMOUNT) {
  return {
    gid: randomUUID(),
    orderId: randomUUID(),
    customerId: randomUUID(),
    amountMinor,
    currency: "EUR",
    paymentMethod,
  };
}

export function claim(key: string = randomUUID(), requestHash = "hash") {
  return { subject: "staff", key, operation: "POST /payments/{id}/refund", requestHash };
}

type Wrap = (provider: Provider) => Provider;

/** `wrapAll` puts something before the provider of every node that has nothing of its own there. */
export async function openPayments(
  server: TestServer,
  env: NodeJS.ProcessEnv = {},
  wrapAll: Wrap = (provider) => provider,
): Promise<PaymentWorld> {
  const [own, log] = await Promise.all([server.fresh("payment"), server.fresh("bus")]);
  Object.assign(process.env, {
    PAYMENT_DATABASE_URL: own.url,
    BUS_DATABASE_URL: log.url,
    PSP_TIMEOUT_MS: "400",
    LOG_LEVEL: "fatal",
    ...env,
  });
  const bus = openBus(loadConfig({ BUS_DATABASE_URL: log.url }));
  await bus.ensureTopics(Object.values(TOPICS));
  const received: DomainEvent[] = [];
  await bus.subscribe({
    group: "collect",
    topics: [TOPICS.payments.name],
    batchSizeMax: 1_000,
    handler: async (messages) => {
      received.push(...messages.map(({ value }): DomainEvent => JSON.parse(value)));
    },
  });
  const brokers: ServiceBroker[] = [];
  const node: PaymentWorld["node"] = async (wrap = wrapAll) => {
    const started = await startNode(wrap);
    brokers.push(started.broker);
    return started;
  };
  const { broker, call } = await node();
  const events = (orderId: string) => {
    const unique = new Map(received.map((event) => [event.eventId, event]));
    return [...unique.values()].filter(({ data }) => "orderId" in data && data.orderId === orderId);
  };
  const tried: PaymentWorld["tried"] = async (method, amountMinor) => {
    const asked = params(method, amountMinor);
    const { paymentId } = await call("payment.try", asked);
    return { ...asked, paymentId };
  };
  return {
    url: own.url,
    broker,
    call,
    node,
    tried,
    async captured(amountMinor) {
      const payment = await tried("sim_ok", amountMinor);
      await call("payment.confirm", { gid: payment.gid });
      return payment;
    },
    sql: (text, values) => run(own.url, text, values),
    events,
    told: (orderId, type, count = 1) =>
      until(
        `${count} ${type}`,
        () => events(orderId).filter(({ eventType }) => eventType === type)[count - 1],
      ),
    async send(data, eventId = randomUUID()) {
      const event = {
        eventId,
        eventType: "REFUND_PAYMENT",
        aggregateId: data.sagaId,
        aggregateType: "saga",
        aggregateVersion: 1,
        timestamp: new Date().toISOString(),
        version: 1,
        correlationId: "test",
        data,
      };
      const headers = { "event-id": eventId, "event-type": "REFUND_PAYMENT", "correlation-id": "test" };
      const { name: topic } = TOPICS.sagaCommands;
      await bus.publish([{ topic, key: data.sagaId, value: JSON.stringify(event), headers }]);
    },
    async stop() {
      await Promise.all(brokers.map((one) => one.stop()));
      await bus.close();
    },
  };
}

async function startNode(wrap: Wrap): Promise<PaymentNode> {
  const { default: schema } = await import("../../services/payment/payment.service.ts");
  const broker = new ServiceBroker({ logger: false, validator: true, middlewares: [drain(), closeBus] });
  const own: unknown = schema.methods?.openProvider;
  if (typeof own !== "function") throw new TypeError("the service has no openProvider");
  const service: ServiceSchema = {
    ...schema,
    methods: {
      ...schema.methods,
      openProvider() {
        return wrap(own.call(this));
      },
    },
  };
  broker.createService(service);
  await broker.start();
  return { broker, call: (action, given) => callAction(broker, action, given) };
}

/** Nothing may be out of balance, whatever a test did. */
export async function expectBalanced(world: PaymentWorld): Promise<void> {
  const postings = await world.sql(
    `select posting_id from ledger_entries group by posting_id
     having sum(case direction when 'debit' then amount_minor else -amount_minor end) <> 0`,
  );
  expect(postings).toEqual([]);
  const payments = await world.sql(
    `select p.id from payments p left join ledger_entries l on l.payment_id = p.id and l.account = 'psp_receivable'
     group by p.id
     having coalesce(sum(case l.direction when 'debit' then l.amount_minor else -l.amount_minor end), 0)
            <> p.captured_minor - p.refunded_minor`,
  );
  expect(payments).toEqual([]);
  // What we believe, and what the provider's own books say.
  const charges = await world.sql(
    `select p.id from payments p left join psp_simulator.charges c on c.id = p.authorisation_id
     where coalesce(c.captured_minor, 0) <> p.captured_minor and p.status <> 'reserved'
        or coalesce(c.refunded_minor, 0) < p.refunded_minor`,
  );
  expect(charges).toEqual([]);
}
