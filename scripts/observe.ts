import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "../lib/config.ts";
import { readDemoFile } from "./demo/demo-file.ts";
import { configOrExit } from "./exit.ts";
import { type Lifecycle, runLifecycle } from "./lifecycle.ts";
import { createAlertLines } from "./observe/alert-lines.ts";
import { activeAlerts } from "./observe/prometheus-api.ts";
import { targetsOf } from "./observe/targets.ts";
import { type PrometheusPart, type ScrapeTarget, startPrometheus } from "./parts/prometheus.ts";

/**
 * npm run observe: Prometheus beside npm start, npm run cluster or npm run stack, whichever runs or comes and goes in
 * DATA_DIR, with the alerts of monitoring/. It prints each alert that begins to fire, until Ctrl+C.
 */
const root = fileURLToPath(new URL("..", import.meta.url));
const LOOK_MS = 1_000;
const ALERTS_MS = 5_000;
const STOP_MS_MAX = 30_000;

const config = configOrExit("observe");
const progress = (line: string) => console.log(`observe: ${line}`);
void runLifecycle({ program: "observe", start: observe, stopTimeoutMs: STOP_MS_MAX });

async function observe(lifecycle: Lifecycle): Promise<void> {
  const prometheus = await startPrometheus({
    stackDir: resolve(".stack"),
    dataDir: join(resolve(config.DATA_DIR), "prometheus"),
    port: config.PROMETHEUS_PORT,
    rules: join(root, "monitoring", "alerts.yml"),
    progress,
  });
  lifecycle.defer(async () => {
    await prometheus.stop();
    progress("stopped");
  });
  console.log(banner(prometheus));
  let watching = false;
  const scrape = (targets: readonly ScrapeTarget[]) => {
    watching = true;
    prometheus.scrape(targets);
  };
  const timers = [
    setInterval(followDemo(config, scrape), LOOK_MS),
    setInterval(
      tellAlerts(prometheus, () => watching),
      ALERTS_MS,
    ),
  ];
  lifecycle.defer(() => {
    for (const timer of timers) clearInterval(timer);
  });
}

/** Scrapes what runs; the file that tells of it comes and goes with it, and stays over the start of single processes. */
function followDemo({ DATA_DIR }: Config, scrape: (targets: readonly ScrapeTarget[]) => void): () => void {
  let last: string | undefined;
  return () => {
    const targets = targetsOf(readDemoFile(DATA_DIR));
    const text = targets.map(({ app, address }) => `${app} at ${address}`).join(", ");
    if (text === last) return;
    // What was there and is gone stays a target: that is what ServiceDown is about.
    if (targets.length > 0) scrape(targets);
    progress(
      targets.length > 0
        ? `scrapes ${text}`
        : `nothing runs in ${DATA_DIR}: waits for npm start, npm run cluster or npm run stack`,
    );
    last = text;
  };
}

function tellAlerts(prometheus: PrometheusPart, isWatching: () => boolean): () => void {
  const linesOf = createAlertLines();
  let failed = false;
  return () => {
    // Before the first demo every service is down, and nobody wonders.
    if (!isWatching()) return;
    activeAlerts(prometheus.url).then(
      (alerts) => {
        failed = false;
        for (const line of linesOf(alerts)) progress(line);
      },
      (error: unknown) => {
        if (!failed)
          progress(`Prometheus does not answer: ${error instanceof Error ? error.message : error}`);
        failed = true;
      },
    );
  };
}

function banner({ url, programs }: PrometheusPart): string {
  const pages = programs.hasPages
    ? `${url}/graph   alerts: ${url}/alerts`
    : `${url}   (its API; for its pages: apt-get install prometheus)`;
  return [
    "",
    `  Prometheus  ${pages}`,
    "  panels      npm run panels   (all four dashboards as text)",
    "  Grafana     not started here: docker compose has it at http://localhost:3001; for one of your own,",
    "              monitoring/grafana has the data source and the dashboards",
    "",
  ].join("\n");
}
