import { type Dashboard, perSecond, quantiles } from "./panel.ts";

export const eventFlow: Dashboard = {
  uid: "holdfast-event-flow",
  title: "Event Flow",
  panels: [
    {
      title: "Oldest event in an outbox",
      about: "How long it has waited for the bus. Above a few seconds the relay or the bus is in trouble.",
      unit: "s",
      stat: true,
      queries: { oldest: "max(holdfast_outbox_lag_seconds)" },
    },
    {
      title: "Behind",
      about: "Messages that consumers have not committed.",
      unit: "short",
      stat: true,
      queries: { messages: "sum(max by (app, topic, partition) (oms_consumer_lag))" },
    },
    {
      title: "Dead letters in a day",
      about: "Events that a consumer could not handle.",
      unit: "short",
      stat: true,
      queries: {
        letters: 'sum(increase(oms_events_processed_total{result="dead_letter"}[1d]))',
      },
    },
    {
      title: "Waiting in the outbox",
      about: "Events that are committed and not yet on the bus.",
      unit: "short",
      queries: { "{{service}}": "max by (service) (oms_outbox_pending_count)" },
    },
    {
      title: "Published",
      about: "Events that reached the bus, a second.",
      unit: "ops",
      queries: { "{{app}}": perSecond("oms_outbox_published_total", "app") },
    },
    {
      title: "Refused by the bus",
      about: "Each blocks its aggregate until an operator decides.",
      unit: "short",
      queries: {
        "{{app}}": "sum by (app) (increase(oms_outbox_failed_total[$__rate_interval]))",
      },
    },
    {
      title: "One batch of a relay",
      about: "Claim, publish, mark.",
      unit: "s",
      queries: quantiles("oms_outbox_publish_duration_seconds", "app"),
    },
    {
      title: "Consumer lag",
      about: "Messages of a topic that a consumer group has not committed.",
      unit: "short",
      queries: { "{{group}} {{topic}}": "max by (group, topic) (holdfast_consumer_group_lag)" },
    },
    {
      title: "Received",
      about: "Events taken off the bus, also those that were there before.",
      unit: "ops",
      queries: { "{{app}} {{type}}": perSecond("oms_events_received_total", "app, type") },
    },
    {
      title: "Handled",
      about: "processed: it had its effect. duplicate: it had had it. dead_letter: it was given up.",
      unit: "ops",
      queries: { "{{app}} {{result}}": perSecond("oms_events_processed_total", "app, result") },
    },
    {
      title: "Notifications",
      about:
        "Attempts to tell NOTIFICATION_URL of an order, a second: those that got through, and those that did not.",
      unit: "ops",
      queries: {
        delivered:
          'sum(rate(holdfast_notifications_total{result="delivered"}[$__rate_interval])) or vector(0)',
        missed: 'sum(rate(holdfast_notifications_total{result!="delivered"}[$__rate_interval])) or vector(0)',
      },
    },
    {
      title: "Notifications that wait",
      about: "disabled is 1 when nothing is sent until an operator says so.",
      unit: "short",
      queries: {
        waiting: "max(holdfast_notifications_pending) or vector(0)",
        disabled: "max(holdfast_notifications_disabled) or vector(0)",
      },
    },
    {
      title: "One batch of a consumer",
      about: "From its messages to its commit.",
      unit: "s",
      queries: quantiles("oms_event_processing_duration_seconds", "app"),
    },
  ],
};
