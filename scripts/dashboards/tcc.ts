import { type Dashboard, perSecond, quantiles } from "./panel.ts";

export const tcc: Dashboard = {
  uid: "holdfast-tcc",
  title: "TCC",
  panels: [
    {
      title: "Stuck",
      about: "Transactions that are decided and cannot be carried out: an operator should look.",
      unit: "short",
      stat: true,
      queries: { stuck: 'max(holdfast_stuck_instances{kind="transaction"})' },
    },
    {
      title: "Timeouts in an hour",
      about: "Payments that missed their deadline.",
      unit: "short",
      stat: true,
      queries: { timeouts: "sum(increase(oms_tcc_timeout_total[1h]))" },
    },
    {
      title: "Provider's failures",
      about:
        "Part of the questions to the payment provider in 5 minutes that were declined or had no answer.",
      unit: "percentunit",
      stat: true,
      queries: { failures: "max(payment_failure_rate)" },
    },
    {
      title: "Started",
      about: "Payments a second.",
      unit: "ops",
      queries: { started: "sum(rate(oms_tcc_started_total[$__rate_interval]))" },
    },
    {
      title: "Ended",
      about: "All of its participants confirmed, or all cancelled.",
      unit: "ops",
      queries: { "{{result}}": perSecond("oms_tcc_completed_total", "result") },
    },
    {
      title: "Phases",
      about: "What is promised at 100 payments at once: try within 60 ms, confirm within 100 ms, at p95.",
      unit: "s",
      queries: quantiles("oms_tcc_phase_duration_seconds", "phase"),
    },
    {
      title: "Held",
      about: "Transactions that have not ended and for which a service holds something.",
      unit: "short",
      queries: { "{{service}}": "max by (service) (oms_tcc_active_reservations)" },
    },
    {
      title: "Provider's answers",
      about: "Questions to the payment provider, by what became of them.",
      unit: "ops",
      queries: {
        "{{operation}} {{result}}": perSecond("holdfast_payment_attempts_total", "operation, result"),
      },
    },
    {
      title: "Provider's latency",
      about: "From the question to its answer, with the wait for a place.",
      unit: "s",
      queries: quantiles("payment_attempt_latency_seconds"),
    },
  ],
};
