/** A dashboard as we write it down; Grafana's JSON of it is long and made by `npm run dashboards`. */

export type Unit = "short" | "s" | "percentunit" | "reqps" | "ops" | "bytes";

export interface Panel {
  readonly title: string;
  /** What it shows, and what to make of it. */
  readonly about: string;
  readonly unit: Unit;
  /** One number instead of a graph. */
  readonly stat?: true;
  /** PromQL by the text of its legend. */
  readonly queries: Readonly<Record<string, string>>;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Counters, per second. */
export const perSecond = (counter: string, by: string) =>
  `sum by (${by}) (rate(${counter}[$__rate_interval]))`;

/** p50, p95 and p99 of a histogram. */
export function quantiles(histogram: string, by?: string): Record<string, string> {
  const labels = by === undefined ? "le" : `le, ${by}`;
  const of = (quantile: number) =>
    `histogram_quantile(${quantile}, sum by (${labels}) (rate(${histogram}_bucket[$__rate_interval])))`;
  const legend = by === undefined ? "" : `{{${by}}} `;
  return { [`${legend}p50`]: of(0.5), [`${legend}p95`]: of(0.95), [`${legend}p99`]: of(0.99) };
}

const COLUMNS = 24;
const datasource = { type: "prometheus", uid: "prometheus" };

export function toGrafana({ uid, title, panels }: Dashboard): object {
  let [x, y, lineHeight] = [0, 0, 0];
  const place = ({ stat }: Panel) => {
    const [w, h] = stat ? [4, 4] : [12, 8];
    if (x + w > COLUMNS) [x, y, lineHeight] = [0, y + lineHeight, 0];
    const at = { x, y, w, h };
    [x, lineHeight] = [x + w, Math.max(lineHeight, h)];
    return at;
  };
  return {
    uid,
    title,
    tags: ["holdfast"],
    schemaVersion: 39,
    editable: false,
    graphTooltip: 1,
    refresh: "15s",
    time: { from: "now-1h", to: "now" },
    panels: panels.map((panel, index) => ({
      id: index + 1,
      title: panel.title,
      description: panel.about,
      type: panel.stat ? "stat" : "timeseries",
      datasource,
      gridPos: place(panel),
      fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
      targets: Object.entries(panel.queries).map(([legendFormat, expr], at) => ({
        refId: String.fromCharCode(65 + at),
        datasource,
        expr,
        legendFormat,
        instant: panel.stat === true,
      })),
    })),
  };
}
