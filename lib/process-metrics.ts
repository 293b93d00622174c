import { monitorEventLoopDelay } from "node:perf_hooks";
import type { MetricName } from "./metric-names.ts";

interface Gauges {
  set(name: MetricName, value: number, labels?: Readonly<Record<string, string>>): void;
}

/** A collector of what the process itself costs. Read at a scrape only: between scrapes it takes no time. */
export function processCollector(metrics: Gauges): () => void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const quantile = (name: string, nanoseconds: number) =>
    // Nothing measured yet reads as NaN.
    metrics.set("holdfast_event_loop_delay_seconds", Math.max(0, nanoseconds || 0) / 1e9, { quantile: name });
  return () => {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed } = process.memoryUsage();
    metrics.set("process_cpu_seconds_total", (user + system) / 1e6);
    metrics.set("process_resident_memory_bytes", rss);
    metrics.set("nodejs_heap_size_used_bytes", heapUsed);
    quantile("0.5", delay.percentile(50));
    quantile("0.99", delay.percentile(99));
    quantile("1", delay.max);
    delay.reset();
  };
}
