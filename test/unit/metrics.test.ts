import { ServiceBroker } from "moleculer";
import { createBatcher } from "../../lib/batcher.ts";
import { METRICS } from "../../lib/metric-names.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { renderPrometheus } from "../../lib/prometheus.ts";
import { createRecentShare } from "../../lib/recent-share.ts";

const brokerWith = (enabled: boolean) =>
  new ServiceBroker({ logger: false, metrics: { enabled, collectProcessMetrics: false } });

/** What a scrape would get. */
async function scrape(broker: ServiceBroker): Promise<string[]> {
  await metricsOf(broker).refresh();
  return renderPrometheus(broker.metrics).split("\n");
}

test("every metric is on the page from the start, and nothing of Moleculer's own", async () => {
  const broker = brokerWith(true);
  metricsOf(broker);
  const page = await scrape(broker);
  for (const [name, { type }] of Object.entries(METRICS)) expect(page).toContain(`# TYPE ${name} ${type}`);
  expect(page.filter((line) => line.includes("moleculer"))).toEqual([]);
  expect(page).toContain("oms_orders_created_total 0");
});

test("counts add up, by label", async () => {
  const broker = brokerWith(true);
  const metrics = metricsOf(broker);
  metrics.sagaStarted("CREATE_ORDER", 3);
  metrics.sagaStarted("CREATE_ORDER");
  metrics.sagaCompleted("CREATE_ORDER", "completed", 2);
  metrics.eventsProcessed("oms.orders.events", "ORDER_CREATED", "done", 5);
  metrics.consumerLag("product-service-group", [{ topic: "oms.orders.events", partition: 3, lag: 17 }]);
  metrics.outboxPublished(10, 0.02);
  metrics.ordersCreated(4);
  const page = await scrape(broker);
  expect(page).toContain('oms_saga_started_total{type="CREATE_ORDER"} 4');
  expect(page).toContain('oms_saga_completed_total{type="CREATE_ORDER",result="completed"} 2');
  expect(page).toContain(
    'oms_events_processed_total{topic="oms.orders.events",type="ORDER_CREATED",result="done"} 5',
  );
  expect(page).toContain('oms_consumer_lag{topic="oms.orders.events",partition="3"} 17');
  expect(page).toContain("oms_outbox_published_total 10");
  expect(page).toContain("oms_orders_created_total 4");
});

test("a histogram has cumulative buckets, a sum and a count", async () => {
  const broker = brokerWith(true);
  for (const seconds of [0.004, 0.2, 120]) metricsOf(broker).sagaDuration("CREATE_ORDER", seconds);
  const page = (await scrape(broker)).filter((line) => line.startsWith("oms_saga_duration_seconds"));
  const bucket = (le: string) => `oms_saga_duration_seconds_bucket{type="CREATE_ORDER",le="${le}"}`;
  expect(page).toEqual([
    ...["0.001", "0.0025"].map((le) => `${bucket(le)} 0`),
    ...["0.005", "0.01", "0.025", "0.05", "0.1"].map((le) => `${bucket(le)} 1`),
    ...["0.25", "0.5", "1", "2.5", "5", "10", "30", "60"].map((le) => `${bucket(le)} 2`),
    `${bucket("+Inf")} 3`,
    'oms_saga_duration_seconds_sum{type="CREATE_ORDER"} 120.204',
    'oms_saga_duration_seconds_count{type="CREATE_ORDER"} 3',
  ]);
});

test("groups of one process that read the same topic: the one furthest behind, and each by its name", async () => {
  const broker = brokerWith(true);
  const lagOf = (group: string, ...lags: readonly number[]) =>
    metricsOf(broker).consumerLag(
      group,
      lags.map((lag, partition) => ({ topic: "oms.orders.events", partition, lag })),
    );
  lagOf("product-service-group", 5, 0);
  lagOf("saga-service-group", 2, 3);
  const page = await scrape(broker);
  expect(page).toEqual(
    expect.arrayContaining([
      'oms_consumer_lag{topic="oms.orders.events",partition="0"} 5',
      'oms_consumer_lag{topic="oms.orders.events",partition="1"} 3',
      'holdfast_consumer_group_lag{group="product-service-group",topic="oms.orders.events"} 5',
      'holdfast_consumer_group_lag{group="saga-service-group",topic="oms.orders.events"} 5',
    ]),
  );
  lagOf("product-service-group", 0, 0);
  expect(await scrape(broker)).toContain('oms_consumer_lag{topic="oms.orders.events",partition="0"} 2');
});

test("labels are escaped", async () => {
  const broker = brokerWith(true);
  metricsOf(broker).sagaStarted('a"b\\c\nd');
  expect(await scrape(broker)).toContain(String.raw`oms_saga_started_total{type="a\"b\\c\nd"} 1`);
});

test("counters that others keep are read at a scrape, until their owner is gone", async () => {
  const broker = brokerWith(true);
  const counters = { statements: 5, commits: 2, rollbacks: 1 };
  const stop = metricsOf(broker).watchDatabase("order", () => [counters, counters]);
  expect(await scrape(broker)).toContain('holdfast_database_statements_total{database="order"} 10');
  counters.statements = 6;
  expect(await scrape(broker)).toContain('holdfast_database_statements_total{database="order"} 12');
  stop();
  counters.statements = 7;
  expect(await scrape(broker)).toContain('holdfast_database_statements_total{database="order"} 12');
});

test("what batchers do is told without their asking for it", async () => {
  const broker = brokerWith(true);
  metricsOf(broker);
  const add = createBatcher<number, number>({ name: "adding", run: async (items) => items });
  await Promise.all([add(1), add(2), add(3)]);
  expect(await scrape(broker)).toEqual(
    expect.arrayContaining([
      'holdfast_batches_total{batcher="adding"} 1',
      'holdfast_batch_items_total{batcher="adding"} 3',
      'holdfast_batch_waiting{batcher="adding"} 0',
    ]),
  );
});

test("a collector that fails costs its own figures only", async () => {
  const broker = brokerWith(true);
  const metrics = metricsOf(broker);
  metrics.collect(() => Promise.reject(new Error("away")));
  metrics.collect(() => {
    throw new Error("away");
  });
  metrics.collect(async () => metrics.sagaActive(7));
  expect(await scrape(broker)).toContain("oms_saga_active 7");
});

test("a broker without metrics takes every call and does nothing", async () => {
  const metrics = metricsOf(brokerWith(false));
  metrics.sagaStarted("CREATE_ORDER");
  metrics.sagaDuration("CREATE_ORDER", 1);
  metrics.sagaActive(1);
  await metrics.refresh();
});

test("a metric may have buckets of its own: a payment's promise of 60 and 100 ms is a bound", async () => {
  const broker = brokerWith(true);
  for (const seconds of [0.055, 0.095]) metricsOf(broker).tccPhase("try", seconds);
  const page = await scrape(broker);
  const bucket = (le: string) => `oms_tcc_phase_duration_seconds_bucket{phase="try",le="${le}"}`;
  expect(page).toEqual(
    expect.arrayContaining([`${bucket("0.06")} 1`, `${bucket("0.09")} 1`, `${bucket("0.1")} 2`]),
  );
});

test("the part that failed is that of the last minutes, and nothing is no failure", () => {
  let now = 0;
  const share = createRecentShare(300_000, () => now);
  expect(share.value()).toBe(0);
  for (const failed of [true, false, false, false]) share.add(failed);
  expect(share.value()).toBe(0.25);
  now = 200_000;
  share.add(true);
  expect(share.value()).toBe(0.4);
  now = 305_000;
  expect(share.value()).toBe(1);
  now = 900_000;
  expect(share.value()).toBe(0);
});
