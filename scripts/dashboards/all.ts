import { eventFlow } from "./event-flow.ts";
import type { Dashboard } from "./panel.ts";
import { saga } from "./saga.ts";
import { serviceHealth } from "./service-health.ts";
import { tcc } from "./tcc.ts";

/** By the name of its file in monitoring/grafana/dashboards. */
export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  saga,
  tcc,
  "event-flow": eventFlow,
  "service-health": serviceHealth,
};
