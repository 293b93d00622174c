import { METRICS, type MetricDefinition } from "../../lib/metric-names.ts";

/** What a PromQL expression refers to, against the metrics that we have. */

const metrics: Readonly<Record<string, MetricDefinition>> = METRICS;

const WORDS = new Set(["by", "without", "on", "ignoring", "and", "or", "unless", "offset", "bool"]);
/** Given by Prometheus: by the target, or to a histogram's buckets. */
const OTHER_LABELS = ["app", "instance", "job", "pod", "le"];

/** A name, perhaps its matchers, perhaps a range; before it the function, where it is the first argument of one. */
const SERIES = /(?:(\w+)\(\s*)?\b([a-zA-Z_]\w*)\b(?!\s*\()(?:\{([^}]*)\})?(\[[^\]]+\])?/g;
const GROUPING = /\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g;

/** Faults of an expression: metrics, labels and uses that do not exist. Empty: there are none. */
export function faultsOf(expression: string): string[] {
  const bare = expression.replaceAll(GROUPING, " ");
  const series = [...bare.matchAll(SERIES)].filter(([, , name = ""]) => !WORDS.has(name));
  if (series.length === 0) return ["names no metric"];
  const labels = new Set([...OTHER_LABELS, ...series.flatMap(([, , name = ""]) => labelsOf(name))]);
  const grouping = [...expression.matchAll(GROUPING)].flatMap(([, names = ""]) => names.split(/\s*,\s*/));
  const strange = grouping.filter((label) => !labels.has(label));
  return [
    ...series.flatMap(([, over, name = "", matchers]) => faultsOfSeries(over, name, matchers)),
    ...strange.map((label) => `groups by ${label}, which none of its metrics has`),
  ];
}

function faultsOfSeries(over: string | undefined, name: string, matchers = ""): string[] {
  const definition = definitionOf(name);
  if (definition === undefined) return name === "up" ? [] : [`${name} is no metric`];
  const known = [...OTHER_LABELS, ...definition.labels];
  const strange = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].flatMap(([, label = ""]) =>
    known.includes(label) ? [] : [`${name} has no label ${label}`],
  );
  const counts = over === "rate" || over === "increase";
  if (definition.type === "gauge" && counts) return [...strange, `${over}() of the gauge ${name}`];
  if (definition.type === "histogram" && name in metrics)
    return [...strange, `${name} is a histogram: it has _bucket, _sum and _count`];
  return strange;
}

function definitionOf(name: string): MetricDefinition | undefined {
  const histogram = metrics[name.replace(/_(bucket|sum|count)$/, "")];
  return metrics[name] ?? (histogram?.type === "histogram" ? histogram : undefined);
}

const labelsOf = (name: string) => definitionOf(name)?.labels ?? [];
