import { type Dashboard, perSecond, quantiles } from "./panel.ts";

export const saga: Dashboard = {
  uid: "holdfast-saga",
  title: "Saga",
  panels: [
    {
      title: "Active",
      about: "Sagas that have not ended.",
      unit: "short",
      stat: true,
      queries: { active: "max(oms_saga_active)" },
    },
    {
      title: "Stuck",
      about: "Retries are used up: an operator should look.",
      unit: "short",
      stat: true,
      queries: { stuck: 'max(holdfast_stuck_instances{kind="saga"})' },
    },
    {
      title: "Compensated",
      about: "Part of the sagas that ended by taking back what they had done.",
      unit: "percentunit",
      stat: true,
      queries: {
        compensated:
          'sum(rate(oms_saga_completed_total{result="compensated"}[$__rate_interval])) / sum(rate(oms_saga_completed_total[$__rate_interval]))',
      },
    },
    {
      title: "Started",
      about: "New sagas a second.",
      unit: "ops",
      queries: { "{{type}}": perSecond("oms_saga_started_total", "type") },
    },
    {
      title: "Ended",
      about: "A saga that is compensated has a reason: its order shows it.",
      unit: "ops",
      queries: { "{{type}} {{result}}": perSecond("oms_saga_completed_total", "type, result") },
    },
    {
      title: "Duration",
      about: "From a saga's start to its end.",
      unit: "s",
      queries: quantiles("oms_saga_duration_seconds", "type"),
    },
    {
      title: "Orders",
      about: "What customers see of it.",
      unit: "ops",
      queries: {
        created: "sum(rate(oms_orders_created_total[$__rate_interval]))",
        confirmed: "sum(rate(oms_orders_confirmed_total[$__rate_interval]))",
        cancelled: "sum(rate(oms_orders_cancelled_total[$__rate_interval]))",
      },
    },
    {
      title: "Items in a batch",
      about: "How many share one transaction: under load many, alone one.",
      unit: "short",
      queries: {
        "{{batcher}}":
          "sum by (batcher) (rate(holdfast_batch_items_total[$__rate_interval])) / sum by (batcher) (rate(holdfast_batches_total[$__rate_interval]))",
      },
    },
    {
      title: "Waiting for a batch",
      about: "A queue that does not empty means that its database does not keep up.",
      unit: "short",
      queries: { "{{app}} {{batcher}}": "sum by (app, batcher) (holdfast_batch_waiting)" },
    },
  ],
};
