/** Cumulative counts by upper bound in seconds, as Prometheus' text format has them. */
export type BucketCounts = ReadonlyMap<number, number>;

/** The buckets of a histogram with this label; those of several processes add up. */
export function bucketsOf(text: string, name: string, label: string): BucketCounts {
  const counts = new Map<number, number>();
  for (const [, labels = "", value] of text.matchAll(
    new RegExp(`^${name}_bucket\\{([^}]*)\\} (\\S+)`, "gm"),
  )) {
    const bound = /le="([^"]+)"/.exec(labels)?.[1];
    if (bound === undefined || !labels.includes(label)) continue;
    const le = bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound);
    counts.set(le, (counts.get(le) ?? 0) + Number(value));
  }
  return counts;
}

/**
 * A quantile of what was observed between two readings, in milliseconds: within its bucket as if all of it were spread
 * evenly, as Prometheus' histogram_quantile does. Undefined when nothing was.
 */
export function quantileMs(before: BucketCounts, after: BucketCounts, share: number): number | undefined {
  const buckets = [...after]
    .map(([le, count]) => ({ le, count: count - (before.get(le) ?? 0) }))
    .sort((one, other) => one.le - other.le);
  const total = buckets.at(-1)?.count ?? 0;
  if (total === 0) return undefined;
  const rank = share * total;
  let [low, below] = [0, 0];
  for (const { le, count } of buckets) {
    if (count >= rank) {
      if (!Number.isFinite(le)) return low * 1_000;
      return (low + ((le - low) * (rank - below)) / Math.max(1, count - below)) * 1_000;
    }
    [low, below] = [le, count];
  }
  return undefined;
}
