export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly about: string;
  /** Bounds of a histogram's buckets, in seconds, where the common ones are too coarse. */
  readonly buckets?: readonly number[];
}

const define = (
  type: MetricDefinition["type"],
  labels: readonly string[],
  about: string,
  buckets?: readonly number[],
): MetricDefinition => ({
  type,
  labels,
  about,
  ...(buckets && { buckets }),
});

/** Fine from 10 to 250 ms: what is promised of payments, 60 ms for a try and 100 ms for a confirm, is a bound. */
const FINE = [
  ...[0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1],
  ...[0.125, 0.15, 0.175, 0.2, 0.25, 0.35, 0.5, 1, 2.5, 5, 15, 60, 900],
];

/** Every metric of Holdfast: its name on /metrics, its labels, and what it counts. Times in seconds. */
export const METRICS = {
  oms_saga_started_total: define("counter", ["type"], "Sagas started."),
  oms_saga_completed_total: define("counter", ["type", "result"], "Sagas ended, by how."),
  oms_saga_duration_seconds: define("histogram", ["type"], "From a saga's start to its end."),
  oms_saga_active: define("gauge", [], "Sagas that have not ended."),
  holdfast_stuck_instances: define(
    "gauge",
    ["kind"],
    "Sagas and TCC transactions whose retries are used up: they go on slowly, and an operator should look.",
  ),
  oms_tcc_started_total: define("counter", [], "TCC transactions started."),
  oms_tcc_completed_total: define("counter", ["result"], "TCC transactions ended, by how."),
  oms_tcc_timeout_total: define("counter", [], "TCC transactions that missed their deadline."),
  oms_tcc_phase_duration_seconds: define("histogram", ["phase"], "A phase: try, confirm or cancel.", FINE),
  oms_tcc_active_reservations: define(
    "gauge",
    ["service"],
    "Transactions that have not ended and for which the service holds something, or is being asked to.",
  ),
  payment_attempt_latency_seconds: define(
    "histogram",
    [],
    "From a question to the payment provider to its answer, with the wait for a place.",
    FINE,
  ),
  payment_failure_rate: define(
    "gauge",
    [],
    "Part of this node's attempts in the last 5 minutes that were declined or had no answer, 0 to 1.",
  ),
  holdfast_payment_attempts_total: define(
    "counter",
    ["operation", "result"],
    "Questions to the payment provider, by its answer.",
  ),
  oms_outbox_pending_count: define("gauge", ["service"], "Events committed and not yet on the bus."),
  holdfast_outbox_lag_seconds: define(
    "gauge",
    ["service"],
    "Age of the oldest event that is committed and not yet on the bus.",
  ),
  oms_outbox_published_total: define("counter", [], "Events that reached the bus."),
  oms_outbox_failed_total: define("counter", [], "Events that the bus refused for good."),
  oms_outbox_publish_duration_seconds: define("histogram", [], "One batch of a relay: claim, publish, mark."),
  oms_events_received_total: define(
    "counter",
    ["topic", "type"],
    "Events taken off the bus, also duplicates.",
  ),
  oms_events_processed_total: define("counter", ["topic", "type", "result"], "Events handled, by result."),
  oms_event_processing_duration_seconds: define("histogram", [], "One batch of a consumer, to its commit."),
  oms_consumer_lag: define(
    "gauge",
    ["topic", "partition"],
    "Messages that a group of this process has not committed; of several groups, the one furthest behind.",
  ),
  holdfast_consumer_group_lag: define(
    "gauge",
    ["group", "topic"],
    "Messages of a topic that a group has not committed, in all partitions.",
  ),
  oms_orders_created_total: define("counter", [], "Orders drafted."),
  oms_orders_confirmed_total: define("counter", [], "Orders whose stock was reserved."),
  oms_orders_cancelled_total: define("counter", [], "Orders that ended without a sale."),
  holdfast_database_statements_total: define("counter", ["database"], "SQL statements sent."),
  holdfast_database_commits_total: define("counter", ["database"], "Transactions committed."),
  holdfast_database_rollbacks_total: define("counter", ["database"], "Transactions rolled back."),
  holdfast_retention_rows_total: define("counter", ["service", "table"], "Rows deleted as past their time."),
  holdfast_batches_total: define("counter", ["batcher"], "Batches run; items / batches is their size."),
  holdfast_batch_items_total: define("counter", ["batcher"], "Items that went through a batch."),
  holdfast_batch_waiting: define("gauge", ["batcher"], "Items that wait for a batch."),
  holdfast_http_requests_total: define("counter", ["route", "status"], "Requests answered."),
  holdfast_http_request_duration_seconds: define(
    "histogram",
    ["route"],
    "From a request's head to its answer.",
  ),
  holdfast_http_streams: define("gauge", [], "Open streams of events."),
  holdfast_http_shed_total: define("counter", ["purpose"], "Requests refused because of overload."),
  holdfast_http_in_flight: define(
    "gauge",
    ["kind"],
    "Requests being worked on, and those that wait for an end.",
  ),
  holdfast_circuit_open: define(
    "gauge",
    ["name"],
    "1 while an outside party is asked nothing, for it fails.",
  ),
  holdfast_notifications_total: define(
    "counter",
    ["result"],
    "Attempts to tell the outside of an order: delivered, pending (repeated later), failed (given up).",
  ),
  holdfast_notifications_pending: define("gauge", [], "Notifications that are not delivered yet."),
  holdfast_notifications_disabled: define("gauge", [], "1 when notifications are sent no more."),
  holdfast_packets_refused_total: define(
    "counter",
    ["reason"],
    "Packets from the transporter that no node of this cluster has sealed.",
  ),
  holdfast_event_loop_delay_seconds: define("gauge", ["quantile"], "Event loop delay since the last scrape."),
  process_cpu_seconds_total: define("counter", [], "User and system CPU time of the process."),
  process_resident_memory_bytes: define("gauge", [], "Resident memory of the process."),
  nodejs_heap_size_used_bytes: define("gauge", [], "Used heap."),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;
