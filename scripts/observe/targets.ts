import type { DemoFile } from "../demo/demo-file.ts";
import type { ScrapeTarget } from "../parts/prometheus.ts";

/** What of a running demo is scraped: each of its processes, under the name of what it runs. */
export function targetsOf(demo: DemoFile | undefined): readonly ScrapeTarget[] {
  const processes = Object.entries(demo?.processes ?? {});
  return processes.map(([app, { internal, services }]) => ({
    address: new URL(internal).host,
    app,
    ...(services.length > 1 && { services }),
  }));
}
