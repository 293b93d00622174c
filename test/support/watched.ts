import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ActiveAlert, activeAlerts, query, type Series } from "../../scripts/observe/prometheus-api.ts";
import { targetsOf } from "../../scripts/observe/targets.ts";
import { startPrometheus } from "../../scripts/parts/prometheus.ts";
import { type System, stackDir } from "./system.ts";
import { until } from "./until.ts";

/** A real Prometheus that scrapes a running system each second, with the alerts of monitoring/ in short time. */
export interface Watched {
  readonly url: string;
  query(expression: string): Promise<Series[]>;
  /** From here on only what still fires counts, or begins to. */
  turnPage(): void;
  /** The alert, as it was when it first fired. */
  fired(name: string, labels?: Readonly<Record<string, string>>): Promise<Fired>;
  stop(): Promise<void>;
}

export interface Fired extends ActiveAlert {
  /** Seconds since the page was turned; negative when it fired before. */
  readonly after: number;
}

interface Sighting {
  readonly alert: ActiveAlert;
  readonly firstAt: number;
  lastAt: number;
}

/** What was looked at for minutes is looked at for half of one. */
const WINDOW = "30s";
const LAG_SECONDS = 3;
const LOOK_MS = 250;

/** The same alerts, conditions and thresholds; only times are shorter, and the age of the oldest event is in seconds. */
export function shortened(rules: string): string {
  return rules
    .replaceAll(/\[\d+m\]/g, `[${WINDOW}]`)
    .replaceAll(/offset \d+m/g, `offset ${WINDOW}`)
    .replaceAll(/for: \d+m/g, "for: 1s")
    .replace("holdfast_outbox_lag_seconds) > 300", `holdfast_outbox_lag_seconds) > ${LAG_SECONDS}`);
}

export async function watch(system: System): Promise<Watched> {
  const dataDir = mkdtempSync(join(tmpdir(), "holdfast-prometheus-"));
  const rules = join(dataDir, "alerts.yml");
  writeFileSync(
    rules,
    shortened(readFileSync(join(__dirname, "..", "..", "monitoring", "alerts.yml"), "utf8")),
  );
  const prometheus = await startPrometheus({ stackDir, dataDir, port: "auto", rules, interval: "1s" });
  prometheus.scrape(targetsOf(system.demo));
  let pageAt = performance.now();
  const seen = new Map<string, Sighting>();
  const look = async () => {
    const firing = (await activeAlerts(prometheus.url)).filter(({ state }) => state === "firing");
    const now = performance.now();
    for (const alert of firing) {
      const key = JSON.stringify(alert.labels);
      const known = seen.get(key);
      if (known === undefined || known.lastAt < pageAt) seen.set(key, { alert, firstAt: now, lastAt: now });
      else known.lastAt = now;
    }
  };
  let failure: unknown;
  const timer = setInterval(() => {
    look().catch((error: unknown) => {
      failure = error;
    });
  }, LOOK_MS);
  return {
    url: prometheus.url,
    turnPage() {
      pageAt = performance.now();
    },
    query: (expression) => query(prometheus.url, expression),
    fired: (name, labels = {}) =>
      until(
        `${name} fires`,
        () => {
          if (failure !== undefined) throw failure;
          const wanted = Object.entries({ alertname: name, ...labels });
          const found = [...seen.values()].find(
            ({ alert, lastAt }) =>
              lastAt >= pageAt && wanted.every(([label, value]) => alert.labels[label] === value),
          );
          return found && { ...found.alert, after: (found.firstAt - pageAt) / 1_000 };
        },
        { timeoutMs: 60_000 },
      ),
    async stop() {
      clearInterval(timer);
      await prometheus.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
