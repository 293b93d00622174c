export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly about: string;
}

const define = (
  type: MetricDefinition["type"],
  labels: readonly string[],
  about: string,
): MetricDefinition => ({
  type,
  labels,
  about,
});

/** Every metric of Holdfast: its name on /metrics, its labels, and what it counts. Times in seconds. */
export const METRICS = {
  oms_saga_started_total: define("counter", ["type"], "Sagas started."),
  oms_saga_completed_total: define("counter", ["type", "result"], "Sagas ended, by how."),
  oms_saga_duration_seconds: define("histogram", ["type"], "From a saga's start to its end."),
  oms_saga_active: define("gauge", [], "Sagas that have not ended."),
  oms_tcc_started_total: define("counter", [], "TCC transactions started."),
  oms_tcc_completed_total: define("counter", ["result"], "TCC transactions ended, by how."),
  oms_tcc_timeout_total: define("counter", [], "TCC transactions that missed their deadline."),
  oms_outbox_pending_count: define("gauge", ["service"], "Events committed and not yet on the bus."),
  oms_outbox_published_total: define("counter", ["service"], "Events that reached the bus."),
  oms_outbox_failed_total: define("counter", ["service"], "Events that the bus refused for good."),
  oms_outbox_publish_duration_seconds: define("histogram", [], "One batch of a relay: claim, publish, mark."),
  oms_events_received_total: define(
    "counter",
    ["topic", "type"],
    "Events taken off the bus, also duplicates.",
  ),
  oms_events_processed_total: define("counter", ["topic", "type", "result"], "Events handled, by result."),
  oms_event_processing_duration_seconds: define("histogram", [], "One batch of a consumer, to its commit."),
  oms_consumer_lag: define("gauge", ["topic", "partition"], "Messages that a group has not committed."),
  oms_orders_created_total: define("counter", [], "Orders drafted."),
  oms_orders_confirmed_total: define("counter", [], "Orders whose stock was reserved."),
  oms_orders_cancelled_total: define("counter", [], "Orders that ended without a sale."),
  holdfast_database_statements_total: define("counter", ["database"], "SQL statements sent."),
  holdfast_database_commits_total: define("counter", ["database"], "Transactions committed."),
  holdfast_database_rollbacks_total: define("counter", ["database"], "Transactions rolled back."),
  holdfast_batches_total: define("counter", ["batcher"], "Batches run; items / batches is their size."),
  holdfast_batch_items_total: define("counter", ["batcher"], "Items that went through a batch."),
  holdfast_batch_waiting: define("gauge", ["batcher"], "Items that wait for a batch."),
  holdfast_http_requests_total: define("counter", ["route", "status"], "Requests answered."),
  holdfast_http_request_duration_seconds: define(
    "histogram",
    ["route"],
    "From a request's head to its answer.",
  ),
  holdfast_http_shed_total: define("counter", ["purpose"], "Requests refused because of overload."),
  holdfast_http_in_flight: define(
    "gauge",
    ["kind"],
    "Requests being worked on, and those that wait for an end.",
  ),
  holdfast_event_loop_delay_seconds: define("gauge", ["quantile"], "Event loop delay since the last scrape."),
  process_cpu_seconds_total: define("counter", [], "User and system CPU time of the process."),
  process_resident_memory_bytes: define("gauge", [], "Resident memory of the process."),
  nodejs_heap_size_used_bytes: define("gauge", [], "Used heap."),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;
