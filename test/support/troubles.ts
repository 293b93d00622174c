import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { ConfigResourceTypes, type Kafka } from "kafkajs";
import pg from "pg";
import { silentLogger } from "../../lib/bus/bus-logger.ts";
import { createKafkaClient } from "../../lib/bus/kafka-client.ts";
import { TOPICS } from "../../lib/events.ts";
import { createSeal } from "../../lib/packet-seal.ts";
import { commands, envelope } from "./forged-messages.ts";
import { created, pay, settled, transactionEnded } from "./money.ts";
import { ended, order } from "./shop.ts";
import { meetStranger } from "./stranger.ts";
import type { System, SystemDatabase } from "./system.ts";
import { until } from "./until.ts";

/** What alerts are about, made on a running stack. Each answers how to put it right, where it does not end by itself. */

const one = ({ demo }: System) => [{ productId: demo.products.plenty, quantity: 1 }];
const nothingLeft = ({ demo }: System) => [{ productId: demo.products.soldOut, quantity: 1 }];
const times = <Result>(count: number, make: () => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: count }, make));

/** Orders for what is sold out: each saga takes back what it has done. */
export async function soldOutOrders(system: System, count: number): Promise<void> {
  const placed = await times(count, () => order(system, nothingLeft(system)));
  await Promise.all(placed.map(({ orderId }) => ended(system, orderId)));
}

export async function declinedPayments(system: System, count: number): Promise<void> {
  const orders = await times(count, () => created(system, one(system)));
  await Promise.all(orders.map(({ orderId }) => settled(system, orderId, "sim_declined")));
}

/** Payments whose provider does not answer in time. */
export async function slowPayments(system: System, count: number): Promise<void> {
  const orders = await times(count, () => created(system, one(system)));
  const transactions = await Promise.all(
    orders.map(async ({ orderId }) => String((await pay(system, orderId, "sim_slow")).body?.transactionId)),
  );
  await Promise.all(transactions.map((id) => transactionEnded(system, id)));
}

/**
 * Orders may neither be paid nor cancelled: sagas and a transaction use up their retries. That takes them a quarter of an
 * hour; here the retries that are left are taken away.
 */
export async function stuckInstances(system: System, sagas: number): Promise<() => Promise<void>> {
  const { orderId } = await created(system, one(system));
  await system.sql(
    "order",
    `create function refuse_endings() returns trigger language plpgsql as
     $$ begin raise exception 'refused for the test' using errcode = '55000'; end $$;
     create trigger refuse_endings before update on orders for each row
     when (new.status in ('paid', 'cancelled')) execute function refuse_endings()`,
  );
  const paying = await pay(system, orderId);
  const placed = await times(sagas, () => order(system, nothingLeft(system)));
  await until(
    "all of them have used up their retries",
    async () => {
      await system.sql(
        "saga",
        `update saga_instances set attempt = 25, wake_at = now()
         where state = 'COMPENSATING' and attempt between 2 and 24`,
      );
      await system.sql(
        "saga",
        `update tcc_transactions t set wake_at = now(), participants = (
           select json_agg(case when (p->>'attempts')::int > 1 then (p::jsonb || '{"attempts": 25}')::json else p end)
           from json_array_elements(t.participants) p)
         where state = 'CONFIRMING' and not stuck and participants::text like '%"attempts":2%'`,
      );
      const [count] = await system.sql<{ sagas: number; transactions: number }>(
        "saga",
        `select (select count(*)::int from saga_instances where state = 'STUCK') as sagas,
                (select count(*)::int from tcc_transactions where stuck) as transactions`,
      );
      return (count?.sagas ?? 0) >= sagas && (count?.transactions ?? 0) >= 1;
    },
    { timeoutMs: 60_000 },
  );
  return async () => {
    await system.sql("order", "drop function refuse_endings cascade");
    const retry = (path: string) =>
      system.api(`/ops/${path}/retry`, { as: "operator", body: { reason: "the orders may change again" } });
    await Promise.all(placed.map(({ sagaId }) => retry(`sagas/${sagaId}`)));
    const transactionId = String(paying.body?.transactionId);
    await retry(`transactions/${transactionId}`);
    await Promise.all(placed.map(({ orderId: cancelled }) => ended(system, cancelled)));
    await transactionEnded(system, transactionId);
  };
}

/** Packets from somebody who is none of ours. */
export async function strangerSpeaks(system: System): Promise<void> {
  const secret = readFileSync(join(system.dataDir, "demo-keys", "cluster-secret"), "utf8");
  const stranger = await meetStranger(system.demo.natsUrl ?? "", createSeal([secret], "oms"));
  stranger.say("payment.confirm", { gid: randomUUID() });
  stranger.say("order.get", { orderId: randomUUID() });
  await stranger.leave();
}

async function onKafka<Result>({ demo }: System, work: (kafka: Kafka) => Promise<Result>): Promise<Result> {
  const client = createKafkaClient({
    brokers: [demo.kafkaBrokers ?? ""],
    clientId: "troubles",
    logger: silentLogger,
  });
  try {
    return await work(client.kafka);
  } finally {
    client.sever();
  }
}

/** A message that nobody can read. */
export function poison(system: System): Promise<void> {
  return publish(system, [{ partition: 0, headers: {}, value: "{not json" }]);
}

interface Message {
  readonly partition: number;
  readonly headers: Record<string, string>;
  readonly value: string;
}

const publish = (system: System, messages: readonly Message[]) =>
  onKafka(system, async (kafka) => {
    const producer = kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    await producer.send({ topic: commands.topic.name, acks: -1, messages: [...messages] });
    await producer.disconnect();
  });

/** The topic takes none of a payment's events: after five tries they are refused for good. */
export async function refusedEvent(system: System): Promise<void> {
  const { orderId } = await created(system, one(system));
  const limit = (bytes: number) =>
    onKafka(system, async (kafka) => {
      const admin = kafka.admin();
      await admin.connect();
      const configEntries = [{ name: "max.message.bytes", value: String(bytes) }];
      await admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: ConfigResourceTypes.TOPIC, name: TOPICS.payments.name, configEntries }],
      });
      await admin.disconnect();
    });
  await limit(10);
  try {
    await settled(system, orderId);
    await until("an event is refused for good", async () => {
      const rows = await system.sql("payment", "select 1 from outbox_delivery where status = 'FAILED'");
      return rows.length > 0;
    });
  } finally {
    await limit(1_048_588);
  }
}

/** A table of a service's database that nobody else gets at until the answer is called. */
async function locked(system: System, database: SystemDatabase, table: string): Promise<() => Promise<void>> {
  const { order: url } = system.demo.databases;
  const client = new pg.Client({ connectionString: url.replace(/_order$/, `_${database}`) });
  // A server that is stopped says so here too.
  client.on("error", () => undefined);
  await client.connect();
  await client.query("begin");
  await client.query(`lock table ${table} in access exclusive mode`);
  return () => client.end();
}

/** The order service's relay does not get on: its events stay where they are. */
export async function relayHeldUp(system: System): Promise<() => Promise<void>> {
  const release = await locked(system, "order", "outbox_buckets");
  await until("an event is left waiting", async () => {
    // What it owned before it still publishes, until it has to renew its leases.
    await order(system, one(system));
    const rows = await system.sql(
      "order",
      `select 1 from outbox_delivery join outbox_events using (position)
       where status = 'PENDING' and created_at < now() - interval '2 s'`,
    );
    return rows.length > 0;
  });
  return release;
}

/** The product service cannot record what it consumes, while more than a thousand messages wait for it. */
export async function consumerHeldUp(system: System): Promise<() => Promise<void>> {
  const release = await locked(system, "product", "processed_events");
  const { partitions } = commands.topic;
  const messages = Array.from({ length: partitions * 400 }, (_, index): Message => {
    const partition = index % partitions;
    if (index >= partitions) return { partition, headers: { "event-type": "NOT_FOR_US" }, value: "{}" };
    const data = { orderId: randomUUID(), sagaId: randomUUID(), reason: "for the test" };
    return {
      partition,
      headers: { "event-type": "RELEASE_STOCK" },
      value: envelope("RELEASE_STOCK", { data }),
    };
  });
  await publish(system, messages);
  return release;
}

/** A process that stands still, as under a debugger or on a machine that swaps; it answers nobody. */
export function standsStill(system: System, name: string): () => void {
  const pid = system.demo.pids[name] ?? 0;
  process.kill(pid, "SIGSTOP");
  return () => process.kill(pid, "SIGCONT");
}

/** A process that does nothing for most of each second, until `enough` is over. */
export async function stutters(system: System, name: string, enough: Promise<unknown>): Promise<void> {
  let going = true;
  const stop = () => {
    going = false;
  };
  enough.then(stop, stop);
  while (going) {
    const goOn = standsStill(system, name);
    await wait(700);
    goOn();
    await wait(250);
  }
}

/** Rows past their time in one service, whose next process finds them at once. */
export async function agedRows(system: System, service: "product"): Promise<void> {
  await system.sql(service, "update processed_events set processed_at = now() - interval '100 days'");
  await system.sql(service, "update retention set due_at = '-infinity', leased_until = '-infinity'");
  const pid = system.demo.pids[service] ?? 0;
  await system.kill(service, "SIGKILL");
  await system.replaced(service, pid);
}
