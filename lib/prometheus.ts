import type { MetricRegistry } from "moleculer";

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Of a histogram. */
  readonly count: number;
  readonly sum: number;
  readonly buckets: Readonly<Record<string, number>>;
}

/**
 * Our metrics in Prometheus' text format. Moleculer's own reporter wants a port for itself and leaves `_sum`
 * and `_count` out of a histogram that keeps no quantiles (which would keep every sample of a minute).
 * Moleculer's metrics are left out: their names have dots, and they cost a series per action and node.
 */
export function renderPrometheus(registry: MetricRegistry): string {
  const lines: string[] = [];
  for (const { name, type, description, ...metric } of metricsIn(registry)) {
    lines.push(`# HELP ${name} ${description}`, `# TYPE ${name} ${type}`);
    for (const sample of metric.samples) {
      if (type === "histogram") lines.push(...histogramLines(name, sample));
      else lines.push(`${name}${labelText(sample.labels)} ${sample.value}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function metricsIn(registry: MetricRegistry) {
  return [...registry.store.values()]
    .filter((metric) => !metric.name.includes("."))
    .map((metric) => {
      const samples: readonly Sample[] = metric.snapshot();
      return { name: metric.name, type: metric.type, description: metric.description ?? "", samples };
    });
}

function histogramLines(name: string, { labels, buckets, sum, count }: Sample): string[] {
  const bounds = Object.entries(buckets).sort(([one], [other]) => Number(one) - Number(other));
  return [
    ...bounds.map(([le, value]) => `${name}_bucket${labelText({ ...labels, le })} ${value}`),
    `${name}_bucket${labelText({ ...labels, le: "+Inf" })} ${count}`,
    `${name}_sum${labelText(labels)} ${sum}`,
    `${name}_count${labelText(labels)} ${count}`,
  ];
}

function labelText(labels: Sample["labels"]): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
