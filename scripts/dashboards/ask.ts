import { query } from "../observe/prometheus-api.ts";
import type { Panel } from "./panel.ts";

/** One line of a panel: a curve of a graph, at this moment. */
export interface Reading {
  readonly legend: string;
  /** NaN: there is a curve, and it has no value now. */
  readonly value: number;
}

/** Four scrapes, as Grafana reckons for itself. */
export const RATE_INTERVAL = "1m";

/** The query as Grafana would ask it. */
export const asAsked = (expression: string, rateInterval = RATE_INTERVAL) =>
  expression.replaceAll("$__rate_interval", rateInterval);

/** What each query of a panel answers now, with its legend filled in as Grafana does. */
export async function readPanel(prometheus: string, panel: Panel, rateInterval?: string): Promise<Reading[]> {
  const queries = Object.entries(panel.queries);
  const answers = await Promise.all(
    queries.map(async ([legend, expression]) => {
      const series = await query(prometheus, asAsked(expression, rateInterval));
      return series.map(({ labels, value }) => ({
        legend: legend.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => labels[name] ?? ""),
        value,
      }));
    }),
  );
  return answers.flat();
}
