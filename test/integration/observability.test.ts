/**
 * What an operator sees of a stack under load and in trouble, by a real Prometheus: every metric that is promised, every
 * panel of the dashboards, and each alert once its cause is there.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { METRICS } from "../../lib/metric-names.ts";
import { DASHBOARDS } from "../../scripts/dashboards/all.ts";
import { asAsked } from "../../scripts/dashboards/ask.ts";
import { root } from "../support/deployment.ts";
import { type EventStream, openStream } from "../support/event-stream.ts";
import { cancelled, created, paid } from "../support/money.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { place } from "../support/shop.ts";
import { describeOnStack, type System, startSystem } from "../support/system.ts";
import {
  agedRows,
  consumerHeldUp,
  declinedPayments,
  poison,
  refusedEvent,
  relayHeldUp,
  slowPayments,
  soldOutOrders,
  standsStill,
  strangerSpeaks,
  stuckInstances,
  stutters,
} from "../support/troubles.ts";
import { until } from "../support/until.ts";
import { type Fired, type Watched, watch } from "../support/watched.ts";

/** The metrics that are promised by name: their labels, without those that Prometheus gives. */
const PROMISED: Readonly<Record<string, readonly string[]>> = {
  oms_saga_started_total: ["type"],
  oms_saga_completed_total: ["result", "type"],
  oms_saga_duration_seconds: ["type"],
  oms_saga_active: [],
  oms_tcc_started_total: [],
  oms_tcc_phase_duration_seconds: ["phase"],
  oms_tcc_completed_total: ["result"],
  oms_tcc_timeout_total: [],
  oms_tcc_active_reservations: ["service"],
  oms_outbox_pending_count: ["service"],
  oms_outbox_published_total: [],
  oms_outbox_failed_total: [],
  oms_outbox_publish_duration_seconds: [],
  oms_events_received_total: ["topic", "type"],
  oms_events_processed_total: ["result", "topic", "type"],
  oms_event_processing_duration_seconds: [],
  oms_consumer_lag: ["partition", "topic"],
  payment_attempt_latency_seconds: [],
  payment_failure_rate: [],
  oms_orders_created_total: [],
  oms_orders_confirmed_total: [],
  oms_orders_cancelled_total: [],
};
const GIVEN = ["__name__", "app", "instance", "job", "le"];
/** All of the run. */
const RANGE = "10m";

describeOnStack("the stack under Prometheus", () => {
  let system: System;
  let watched: Watched;
  let stream: EventStream;
  let receiver: Receiver;

  beforeAll(async () => {
    receiver = await openReceiver();
    const env = {
      ...receiver.env,
      PSP_TIMEOUT_MS: "1000",
      REQUEST_TIMEOUT_MS: "3000",
      SHED_IN_FLIGHT: "60",
    };
    system = await startSystem({ mode: "stack", env });
    watched = await watch(system);
    const { orderId } = await ordinaryDay(system);
    const authorization = `Bearer ${system.demo.tokens.customer}`;
    stream = await openStream(`${system.demo.api}/orders/${orderId}/events`, { authorization });
  }, 200_000);

  beforeEach(() => watched.turnPage());

  afterAll(async () => {
    stream?.close();
    await watched?.stop();
    expect(await system?.stop()).toBe(0);
    await receiver?.close();
  }, 60_000);

  /** Says when and how it fired: what docs/alerts.md records is read from here. */
  async function fires(name: string, labels?: Readonly<Record<string, string>>): Promise<Fired> {
    const fired = await watched.fired(name, labels);
    process.stderr.write(`after ${fired.after.toFixed(0)} s ${name}: ${fired.annotations.summary}\n`);
    return fired;
  }

  test("an event that the bus refuses, and a message that nobody can read", async () => {
    await refusedEvent(system);
    await poison(system);
    await strangerSpeaks(system);
    await fires("OutboxEventRefused", { app: "payment" });
    await fires("DeadLetters", { app: "product" });
  }, 120_000);

  test("payments that are declined, or not answered", async () => {
    await Promise.all([declinedPayments(system, 12), slowPayments(system, 8)]);
    await fires("PaymentFailureRateHigh");
    await fires("TCCTimeoutSpike");
  }, 120_000);

  test("a provider that is asked nothing for a while, for it does not answer", async () => {
    await until(
      "its circuit is seen open",
      async () => {
        // It may close again between two scrapes: then once more.
        await slowPayments(system, 30);
        return (
          (await watched.query('max_over_time(holdfast_circuit_open{name="payment provider"}[1m]) == 1'))
            .length > 0
        );
      },
      { timeoutMs: 100_000 },
    );
  }, 120_000);

  test("sagas that fail, and get stuck", async () => {
    await soldOutOrders(system, 30);
    await fires("SagaHighFailureRate", { type: "CREATE_ORDER" });
    await fires("SagaCompensationRateHigh", { type: "CREATE_ORDER" });
    const free = await stuckInstances(system, 6);
    try {
      await fires("SagasStuck", { kind: "saga" });
      await fires("SagaStuck", { kind: "transaction" });
    } finally {
      await free();
    }
  }, 120_000);

  test("a relay and a consumer that do not get on", async () => {
    const releaseRelay = await relayHeldUp(system);
    const releaseConsumer = await consumerHeldUp(system);
    try {
      await fires("OutboxBacklog", { service: "order" });
      await fires("ConsumerLagHigh", { group: "product-service-group" });
    } finally {
      await releaseRelay();
      await releaseConsumer();
    }
  }, 120_000);

  test("a process that answers nobody, and what that does to the API", async () => {
    const lines = [{ productId: system.demo.products.plenty, quantity: 1 }];
    const { orderId } = await created(system, lines);
    const goOn = standsStill(system, "order");
    const asking = until(
      "the errors are told",
      async () => {
        const gets = Array.from({ length: 90 }, () => system.api(`/orders/${orderId}`));
        const posts = Array.from({ length: 10 }, () => place(system, lines));
        await Promise.all([...gets, ...posts]);
        return (await watched.query('ALERTS{alertname="HttpErrorsHigh",alertstate="firing"}')).length > 0;
      },
      { timeoutMs: 60_000 },
    );
    try {
      await Promise.all([
        fires("ReplicaDown", { app: "order" }),
        fires("ServiceDown", { app: "order" }),
        fires("HttpErrorsHigh"),
        asking,
      ]);
    } finally {
      goOn();
    }
  }, 120_000);

  test("a process that is busy with something else", async () => {
    const firing = fires("EventLoopDelayed", { app: "customer" });
    await stutters(system, "customer", firing);
    await firing;
  }, 120_000);

  test("a receiver of notifications that wants no more", async () => {
    const back = receiver.leaves();
    await created(system, [{ productId: system.demo.products.plenty, quantity: 1 }]);
    await fires("NotificationsDisabled");
    back();
    const enable = { as: "operator", body: { reason: "it takes them again" } } as const;
    await expect(system.api("/ops/notifications/enable", enable)).resolves.toMatchObject({ status: 200 });
  }, 120_000);

  test("every alert there is has fired", async () => {
    const series = await watched.query(
      `count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[${RANGE}]))`,
    );
    const rules = readFileSync(join(root, "monitoring/alerts.yml"), "utf8").matchAll(/- alert: (\w+)/g);
    expect(series.map(({ labels }) => labels.alertname).sort()).toEqual(
      [...rules].map(([, name]) => name).sort(),
    );
  });

  test("the metrics that are promised are these, with these labels, and none is empty", async () => {
    const ours = Object.keys(METRICS).filter((name) => /^(oms|payment)_/.test(name));
    expect(new Set(ours)).toEqual(new Set(Object.keys(PROMISED)));
    for (const [name, labels] of Object.entries(PROMISED)) {
      const sample = METRICS[name as keyof typeof METRICS].type === "histogram" ? `${name}_count` : name;
      const series = await watched.query(`max_over_time(${sample}[${RANGE}])`);
      const found = new Set(series.flatMap((one) => Object.keys(one.labels)));
      expect([name, [...found].filter((label) => !GIVEN.includes(label)).sort()]).toEqual([name, labels]);
      expect([name, Math.max(...series.map(({ value }) => value)) > 0]).toEqual([name, true]);
    }
  }, 60_000);

  const queries = Object.entries(DASHBOARDS).flatMap(([dashboard, { panels }]) =>
    panels.flatMap(({ title, queries }) =>
      Object.entries(queries).map(([legend, expression]) => [
        `${dashboard}: ${title}: ${legend}`,
        expression,
      ]),
    ),
  );
  /** Queues that are seen only by chance: they are empty again before somebody looks. */
  const mayBeZero = [
    // An endpoint has to fail for as long as nobody wants to wait here.
    "event-flow: Notifications that wait: disabled",
    "event-flow: Notifications that wait: waiting",
    "saga: Waiting for a batch: {{app}} {{batcher}}",
    "service-health: Rows past their time: {{service}} {{table}}",
  ];
  test.each(queries)("%s shows something", async (name = "", expression = "") => {
    // The last look at what has happened may still be to come.
    await until(`${name} shows something`, async () => {
      const series = await watched.query(`max_over_time((${asAsked(expression)})[${RANGE}:500ms])`);
      const values = series.map(({ value }) => value).filter(Number.isFinite);
      return Math.max(...values) > (mayBeZero.includes(name) ? -1 : 0);
    });
  });
});

/** Orders that are created, paid and cancelled; and old rows, which go. */
async function ordinaryDay(system: System) {
  const lines = [{ productId: system.demo.products.plenty, quantity: 1 }];
  const orders = await Promise.all(Array.from({ length: 10 }, () => paid(system, lines)));
  const [first, second] = orders;
  if (first === undefined || second === undefined) throw new Error("no order was paid");
  await cancelled(system, first.orderId);
  await agedRows(system, "product");
  return second;
}
