import type { ServiceBroker } from "moleculer";
import { batchers } from "./batcher.ts";
import type { PartitionLag } from "./bus/bus.ts";
import { METRICS, type MetricDefinition, type MetricName } from "./metric-names.ts";
import { processCollector } from "./process-metrics.ts";

/** Bounds of a histogram that has none of its own, in seconds: from one statement to a saga that waits for stock. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Cumulative counts that somebody else keeps, read at each scrape. */
interface Counted {
  readonly statements: number;
  readonly commits: number;
  readonly rollbacks: number;
}

interface OutboxBacklog {
  readonly events: number;
  readonly lagSeconds: number;
}

type Collector = () => void | Promise<void>;
type Labels = Readonly<Record<string, string | number>>;

/** The longest that a scrape waits for one collector. */
const COLLECT_TIMEOUT_MS = 2_000;

const known = new WeakMap<ServiceBroker, Metrics>();

/** The metrics of a broker. Without metrics in its options everything here does nothing. */
export function metricsOf(broker: ServiceBroker): Metrics {
  const metrics = known.get(broker) ?? new Metrics(broker);
  known.set(broker, metrics);
  return metrics;
}

/** Recording is O(1) and takes a count, so that a batch records once. */
export class Metrics {
  readonly #broker: ServiceBroker;
  readonly #collectors = new Set<Collector>();
  /** By consumer group. */
  readonly #lags = new Map<string, readonly PartitionLag[]>();

  constructor(broker: ServiceBroker) {
    this.#broker = broker;
    if (!broker.isMetricsEnabled()) return;
    for (const [name, definition] of Object.entries<MetricDefinition>(METRICS))
      this.#register(name, definition);
    this.collect(processCollector(this));
    this.collect(() => this.#readBatchers());
  }

  #register(name: string, { type, labels, about, buckets = BUCKETS }: MetricDefinition): void {
    const { metrics } = this.#broker;
    const common = { name, labelNames: [...labels], description: about };
    if (type === "histogram") {
      metrics.register({ type, buckets: [...buckets], ...common });
      return;
    }
    const metric =
      type === "counter" ? metrics.register({ type, ...common }) : metrics.register({ type, ...common });
    // See begin().
    if (labels.length === 0) metric?.set(0);
  }

  sagaStarted(type: string, count = 1): void {
    this.add("oms_saga_started_total", count, { type });
  }

  sagaCompleted(type: string, result: string, count = 1): void {
    this.add("oms_saga_completed_total", count, { type, result });
  }

  sagaDuration(type: string, seconds: number): void {
    this.observe("oms_saga_duration_seconds", seconds, { type });
  }

  sagaActive(count: number): void {
    this.set("oms_saga_active", count);
  }

  stuck(counts: Readonly<Record<"saga" | "transaction", number>>): void {
    for (const [kind, count] of Object.entries(counts)) this.set("holdfast_stuck_instances", count, { kind });
  }

  tccStarted(count = 1): void {
    this.add("oms_tcc_started_total", count);
  }

  tccCompleted(result: string, count = 1): void {
    this.add("oms_tcc_completed_total", count, { result });
  }

  tccTimedOut(count = 1): void {
    this.add("oms_tcc_timeout_total", count);
  }

  tccPhase(phase: string, seconds: number): void {
    this.observe("oms_tcc_phase_duration_seconds", seconds, { phase });
  }

  tccActiveReservations(service: string, count: number): void {
    this.set("oms_tcc_active_reservations", count, { service });
  }

  paymentAttempt(operation: string, result: string, seconds: number): void {
    this.add("holdfast_payment_attempts_total", 1, { operation, result });
    this.observe("payment_attempt_latency_seconds", seconds);
  }

  paymentFailureRate(share: number): void {
    this.set("payment_failure_rate", share);
  }

  packetRefused(reason: string): void {
    this.add("holdfast_packets_refused_total", 1, { reason });
  }

  outboxBacklog(service: string, { events, lagSeconds }: OutboxBacklog): void {
    this.set("oms_outbox_pending_count", events, { service });
    this.set("holdfast_outbox_lag_seconds", lagSeconds, { service });
  }

  outboxPublished(count: number, seconds: number): void {
    this.add("oms_outbox_published_total", count);
    this.observe("oms_outbox_publish_duration_seconds", seconds);
  }

  outboxFailed(count = 1): void {
    this.add("oms_outbox_failed_total", count);
  }

  eventsReceived(topic: string, type: string, count = 1): void {
    this.add("oms_events_received_total", count, { topic, type });
  }

  eventsProcessed(topic: string, type: string, result: string, count = 1): void {
    this.add("oms_events_processed_total", count, { topic, type, result });
  }

  eventProcessing(seconds: number): void {
    this.observe("oms_event_processing_duration_seconds", seconds);
  }

  /** What a group lacks of its topics, all partitions at once. */
  consumerLag(group: string, partitions: readonly PartitionLag[]): void {
    this.#lags.set(group, partitions);
    for (const topic of new Set(partitions.map((one) => one.topic))) {
      const lags = partitions.filter((one) => one.topic === topic).map(({ lag }) => lag);
      const total = lags.reduce((sum, lag) => sum + lag, 0);
      this.set("holdfast_consumer_group_lag", total, { group, topic });
    }
    // By topic and partition alone two groups of one process would overwrite each other.
    for (const { topic, partition } of partitions) {
      const same = [...this.#lags.values()]
        .flat()
        .filter((one) => one.topic === topic && one.partition === partition);
      this.set("oms_consumer_lag", Math.max(...same.map(({ lag }) => lag)), { topic, partition });
    }
  }

  ordersCreated(count = 1): void {
    this.add("oms_orders_created_total", count);
  }

  ordersConfirmed(count = 1): void {
    this.add("oms_orders_confirmed_total", count);
  }

  ordersCancelled(count = 1): void {
    this.add("oms_orders_cancelled_total", count);
  }

  rowsForgotten(service: string, table: string, count: number): void {
    this.add("holdfast_retention_rows_total", count, { service, table });
  }

  httpAnswered(route: string, status: number, seconds: number): void {
    this.add("holdfast_http_requests_total", 1, { route, status });
    this.observe("holdfast_http_request_duration_seconds", seconds, { route });
  }

  /** Exports the counters of the pools of one database. Answers how to stop that. */
  watchDatabase(database: string, pools: () => readonly Counted[]): () => void {
    return this.collect(() => {
      const sum = (read: (one: Counted) => number) => pools().reduce((total, one) => total + read(one), 0);
      this.set(
        "holdfast_database_statements_total",
        sum((one) => one.statements),
        { database },
      );
      this.set(
        "holdfast_database_commits_total",
        sum((one) => one.commits),
        { database },
      );
      this.set(
        "holdfast_database_rollbacks_total",
        sum((one) => one.rollbacks),
        { database },
      );
    });
  }

  /** Exports what the batchers of this process do. */
  #readBatchers(): void {
    for (const [batcher, { sizes, waiting }] of batchers()) {
      this.set("holdfast_batches_total", sizes.batches, { batcher });
      this.set("holdfast_batch_items_total", sizes.items, { batcher });
      this.set("holdfast_batch_waiting", waiting(), { batcher });
    }
  }

  /** Runs `collector` before each scrape, to set what is cheaper read than recorded. Answers how to stop that. */
  collect(collector: Collector): () => void {
    this.#collectors.add(collector);
    return () => this.#collectors.delete(collector);
  }

  /** Runs all collectors; one that fails or hangs costs its own metrics only. */
  async refresh(): Promise<void> {
    const runs = [...this.#collectors].map(async (collector) => collector());
    const deadline = new Promise((resolve) => setTimeout(resolve, COLLECT_TIMEOUT_MS).unref());
    const results = await Promise.race([Promise.allSettled(runs), deadline]);
    if (!Array.isArray(results)) this.#broker.logger.warn("a metrics collector takes too long");
    else
      for (const result of results)
        if (result.status === "rejected")
          this.#broker.logger.warn({ err: result.reason }, "a metrics collector failed");
  }

  /** Begins counters at 0: one that exists only after its first event hides that event from rate(). */
  begin(name: MetricName, series: readonly Labels[]): void {
    for (const labels of series) this.add(name, 0, labels);
  }

  add(name: MetricName, count: number, labels?: Labels): void {
    this.#broker.metrics.increment(name, labels, count);
  }

  set(name: MetricName, value: number, labels?: Labels): void {
    this.#broker.metrics.set(name, value, labels);
  }

  observe(name: MetricName, value: number, labels?: Labels): void {
    this.#broker.metrics.observe(name, value, labels);
  }
}
