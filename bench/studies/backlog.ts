import { setTimeout as sleep } from "node:timers/promises";
import { inDatabase, prepareApi } from "../data.ts";
import { startLoad } from "../load/driver.ts";
import type { Cell } from "../load/protocol.ts";
import { type Measured, runCell } from "../measure/cell.ts";
import { audit } from "../measure/check.ts";
import { openMeter } from "../measure/counters.ts";
import { number, table } from "../report/table.ts";
import type { System } from "../system.ts";
import type { StudyContext, StudyResult } from "./study.ts";

const DRAIN_PER_SECOND_MIN = 20_000;
/** What new orders may lose of their speed while a backlog drains. */
const SLOWER_MAX = 2;
const DRAIN_MS_MAX = 900_000;

interface Drain {
  readonly events: number;
  readonly seconds: number;
}

/** A million events that nobody could deliver: how fast they go once somebody can, and what new orders feel of it. */
export async function studyBacklog({ options, start, progress }: StudyContext): Promise<StudyResult> {
  const system = await start();
  const load = await startLoad(await prepareApi(system));
  const meter = await openMeter(system);
  const cell: Cell = { flow: "create", variant: "uniform", concurrency: options.cells[0]?.concurrency ?? 64 };
  const { warmSeconds, seconds } = options;
  const drive = async (): Promise<Measured> =>
    (await runCell(load, meter, { cell, warmSeconds, until: { seconds } }, "api")).measured;
  try {
    const before = await drive();
    await pileUp(system, options.orders);
    const alone = await drain(system, options.orders);
    progress(`alone: ${number(alone.events / alone.seconds)} events/s`);
    await pileUp(system, options.orders);
    const draining = drain(system, options.orders);
    draining.catch(() => undefined);
    const during = await drive();
    const isStillDraining = (await pending(system)) > 0;
    const together = await draining;
    const after = await drive();
    const figures = { before, alone, during, together, after };
    const complaints = [
      ...complaintsOf(figures),
      ...(isStillDraining
        ? []
        : ["the backlog was gone before the orders were measured: take --orders higher"]),
      ...(await audit(system)),
    ];
    return { report: report(figures, cell), complaints, data: figures };
  } finally {
    load.stop();
    await meter.close();
  }
}

interface Figures {
  readonly before: Measured;
  readonly alone: Drain;
  readonly during: Measured;
  readonly together: Drain;
  readonly after: Measured;
}

/** All of them become visible at once, each of an aggregate of its own. */
async function pileUp(system: System, events: number): Promise<void> {
  await inDatabase(system.demo.databases.order, (client) =>
    client.query(
      `with made as (
         select gen_random_uuid() as id, gen_random_uuid() as order_id, now()::text as at from generate_series(1, $1::int)
       ), appended as (
         insert into outbox_events (id, aggregate_type, aggregate_id, aggregate_version, event_type, topic, payload, headers)
         select id, 'order', order_id, 1, 'ORDER_COMPLETED', 'oms.orders.events',
           json_build_object('eventId', id, 'eventType', 'ORDER_COMPLETED', 'aggregateId', order_id, 'aggregateType', 'order',
             'aggregateVersion', 1, 'timestamp', at, 'version', 1, 'correlationId', id,
             'data', json_build_object('orderId', order_id, 'customerId', order_id)),
           json_build_object('correlation-id', id, 'timestamp', at)
         from made
         returning position, id, aggregate_id
       )
       insert into outbox_delivery (position, event_id, bucket)
       select position, id, get_byte(uuid_send(aggregate_id), 15) & 15 from appended`,
      [events],
    ),
  );
}

async function pending(system: System): Promise<number> {
  return inDatabase(system.demo.databases.order, async (client) => {
    const text = "select count(*)::int as count from outbox_delivery where status = 'PENDING'";
    return (await client.query<{ count: number }>(text)).rows[0]?.count ?? 0;
  });
}

/** Until as good as nothing waits; new orders always have a few on their way. */
async function drain(system: System, events: number): Promise<Drain> {
  const from = performance.now();
  const few = events / 100;
  for (;;) {
    const left = await pending(system);
    const elapsedMs = performance.now() - from;
    if (left <= few) return { events: events - left, seconds: elapsedMs / 1_000 };
    if (elapsedMs > DRAIN_MS_MAX)
      throw new Error(`${left} events still wait after ${DRAIN_MS_MAX / 1_000} s`);
    await sleep(500);
  }
}

function complaintsOf({ before, alone, during }: Figures): string[] {
  const rate = alone.events / alone.seconds;
  const slower = before.ordersPerSecond / during.ordersPerSecond;
  return [
    ...(rate < DRAIN_PER_SECOND_MIN ? [`a backlog drains at ${number(rate)} events/s`] : []),
    ...(slower > SLOWER_MAX
      ? [`new orders are ${slower.toFixed(1)} times slower while a backlog drains`]
      : []),
    ...[before, during].flatMap(({ errors, errorSamples }) =>
      errors > 0 ? [`${errors} errors, such as ${errorSamples[0]}`] : [],
    ),
  ];
}

function report({ before, alone, during, together, after }: Figures, { concurrency }: Cell): string {
  const line = (name: string, drained: Drain | undefined, orders: Measured | undefined) => [
    name,
    number(drained && drained.events / drained.seconds),
    number(drained?.seconds),
    number(orders?.ordersPerSecond),
    number(orders?.latency.p50),
    number(orders?.latency.p95),
    number(orders && orders.ordersPerSecond / before.ordersPerSecond),
  ];
  const rows = [
    line("orders alone", undefined, before),
    line("backlog alone", alone, undefined),
    line("both", together, during),
    line("orders alone, afterwards", undefined, after),
  ];
  const columns = ["", "events/s", "s", "orders/s", "p50", "p95 ms", "of their speed"];
  return [
    `A backlog of ${alone.events.toLocaleString("en-US")} events, and orders at c=${concurrency}`,
    table(columns, rows),
  ].join("\n");
}
