import { type Dashboard, perSecond, quantiles } from "./panel.ts";

export const serviceHealth: Dashboard = {
  uid: "holdfast-service-health",
  title: "Service Health",
  panels: [
    {
      title: "Replicas that answer",
      about: "By service.",
      unit: "short",
      stat: true,
      queries: { "{{app}}": 'sum by (app) (up{job="holdfast"})' },
    },
    {
      title: "Our errors",
      about: "Part of the API's answers that are 5xx.",
      unit: "percentunit",
      stat: true,
      queries: {
        errors:
          '(sum(rate(holdfast_http_requests_total{status=~"5.."}[$__rate_interval])) or vector(0)) / sum(rate(holdfast_http_requests_total[$__rate_interval]))',
      },
    },
    {
      title: "In flight",
      about: "Requests that the gateways work on, and those that wait for an end.",
      unit: "short",
      stat: true,
      queries: {
        "{{kind}}": "sum by (kind) (holdfast_http_in_flight)",
        streams: "sum(holdfast_http_streams)",
      },
    },
    {
      title: "Requests",
      about: "Answers of the API a second, by status.",
      unit: "reqps",
      queries: { "{{status}}": perSecond("holdfast_http_requests_total", "status") },
    },
    {
      title: "Time to the answer",
      about: "By route; POST /orders waits for the draft, and `Prefer: wait` for an end.",
      unit: "s",
      queries: {
        "{{route}} p95":
          "histogram_quantile(0.95, sum by (le, route) (rate(holdfast_http_request_duration_seconds_bucket[$__rate_interval])))",
      },
    },
    {
      title: "Event loop delay, p99",
      about: "How late a process gets to what is due.",
      unit: "s",
      queries: {
        "{{app}} {{instance}}": 'max by (app, instance) (holdfast_event_loop_delay_seconds{quantile="0.99"})',
      },
    },
    {
      title: "CPU",
      about: "1 is a whole core.",
      unit: "short",
      queries: { "{{app}}": perSecond("process_cpu_seconds_total", "app") },
    },
    {
      title: "Memory",
      about: "Resident, of the largest replica.",
      unit: "bytes",
      queries: {
        "{{app}}": "max by (app) (process_resident_memory_bytes)",
        "{{app}} heap": "max by (app) (nodejs_heap_size_used_bytes)",
      },
    },
    {
      title: "Commits",
      about: "Transactions a second, by database.",
      unit: "ops",
      queries: {
        "{{database}}": perSecond("holdfast_database_commits_total", "database"),
        "{{database}} rolled back": perSecond("holdfast_database_rollbacks_total", "database"),
      },
    },
    {
      title: "Statements for an order",
      about: "SQL statements of all services, by orders created: few when work is shared.",
      unit: "short",
      queries: {
        statements:
          "sum(rate(holdfast_database_statements_total[$__rate_interval])) / (sum(rate(oms_orders_created_total[$__rate_interval])) > 0)",
      },
    },
    {
      title: "Open circuits",
      about:
        "1 while an outside party (payment provider, notifications) is asked nothing, for it does not answer.",
      unit: "short",
      queries: { "{{name}}": "max by (name) (holdfast_circuit_open)" },
    },
    {
      title: "Shed",
      about: "Requests refused with 503 because of overload.",
      unit: "ops",
      queries: { shed: "sum(rate(holdfast_http_shed_total[$__rate_interval]))" },
    },
    {
      title: "Packets refused",
      about: "From NATS, and not sealed by a node of ours: somebody else speaks there.",
      unit: "ops",
      queries: { packets: "sum(rate(holdfast_packets_refused_total[$__rate_interval]))" },
    },
    {
      title: "Rows past their time",
      about: "What retention deletes, a second.",
      unit: "ops",
      queries: { "{{service}} {{table}}": perSecond("holdfast_retention_rows_total", "service, table") },
    },
    {
      title: "Slowest answers",
      about: "Of all routes together.",
      unit: "s",
      queries: quantiles("holdfast_http_request_duration_seconds"),
    },
  ],
};
