import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { METRICS } from "../../lib/metric-names.ts";
import { SERVICE_NAMES, SETTINGS } from "../../lib/settings.ts";
import { DASHBOARDS } from "../../scripts/dashboards/all.ts";
import { toGrafana } from "../../scripts/dashboards/panel.ts";
import { PartUnavailableError } from "../../scripts/parts/part.ts";
import { RETENTION, SCRAPE_INTERVAL } from "../../scripts/parts/prometheus.ts";
import { findPrometheus } from "../../scripts/parts/prometheus-programs.ts";
import { readYaml, root } from "../support/deployment.ts";
import { faultsOf } from "../support/promql.ts";

/** monitoring/: every query against the metrics that there are, every alert by promtool. */

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

interface Cases {
  readonly tests: readonly {
    readonly alert_rule_test: readonly {
      readonly alertname: string;
      readonly exp_alerts: readonly unknown[];
    }[];
  }[];
}

interface PrometheusConfig {
  readonly global: object;
  readonly rule_files: readonly string[];
  readonly scrape_configs: readonly {
    readonly job_name: string;
    readonly dns_sd_configs: readonly { readonly names: readonly string[]; readonly port: number }[];
  }[];
}

const folder = join(root, "monitoring");
const [alerts] = readYaml<{ groups: readonly { rules: readonly Rule[] }[] }>("monitoring/alerts.yml");
const rules = alerts?.groups.flatMap((group) => group.rules) ?? [];
const [cases] = readYaml<Cases>("monitoring/alerts.test.yml");
const tested = cases?.tests.flatMap((one) => one.alert_rule_test) ?? [];

describe("alerts", () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    "%s asks for metrics and labels that there are",
    (_, { expr }) => {
      expect(faultsOf(expr)).toEqual([]);
    },
  );

  it("each have a case in which they fire and one in which they do not", () => {
    expect(new Set(tested.map(({ alertname }) => alertname))).toEqual(
      new Set(rules.map(({ alert }) => alert)),
    );
    for (const { alert } of rules) {
      const [fired, silent] = [true, false].map((fires) =>
        tested.some(({ alertname, exp_alerts }) => alertname === alert && exp_alerts.length > 0 === fires),
      );
      expect([alert, fired, silent]).toEqual([alert, true, true]);
    }
  });

  it("each say how bad it is, and where to read on", () => {
    // That the sections are there is looked at with the rest of the runbook (runbook.test.ts).
    for (const { alert, labels, annotations } of rules) {
      expect(["critical", "warning"]).toContain(labels.severity);
      expect(annotations.runbook).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
    }
  });

  it("pass promtool", async () => {
    const promtool = await promtoolOrSkip();
    if (promtool === undefined) return;
    for (const args of [
      ["check", "config", "prometheus.yml"],
      ["test", "rules", "alerts.test.yml"],
    ]) {
      const { status, stdout, stderr } = spawnSync(promtool, args, { cwd: folder, encoding: "utf8" });
      expect([status, stdout + stderr]).toEqual([0, expect.stringContaining("SUCCESS")]);
    }
  }, 240_000);
});

/** Undefined, and said aloud, on a machine that has neither Prometheus nor Debian's packages; there CI fails. */
async function promtoolOrSkip(): Promise<string | undefined> {
  try {
    return process.env.PROMTOOL ?? (await findPrometheus(join(root, ".stack"))).promtool;
  } catch (error) {
    if (!(error instanceof PartUnavailableError) || process.env.CI) throw error;
    console.warn(`SKIPPED: the alerts were not tried: ${error.message}`);
    return undefined;
  }
}

describe("Prometheus", () => {
  const [compose, kubernetes] = ["prometheus.yml", "prometheus.kubernetes.yml"].map(
    (name) => readYaml<PrometheusConfig>(`monitoring/${name}`)[0],
  );

  it("asks every service where it answers, every 15 s", () => {
    const [scrape] = compose?.scrape_configs ?? [];
    expect(scrape?.job_name).toBe("holdfast");
    expect(scrape?.dns_sd_configs).toMatchObject([
      { names: SERVICE_NAMES, port: SETTINGS.INTERNAL_PORT.fallback },
    ]);
    expect(compose?.global).toEqual({
      scrape_interval: SCRAPE_INTERVAL,
      evaluation_interval: SCRAPE_INTERVAL,
    });
    expect(SCRAPE_INTERVAL).toBe("15s");
  });

  it("keeps 15 days", () => {
    const [file] = readYaml<{ services: { prometheus: { command: readonly string[] } } }>(
      "docker-compose.yml",
    );
    expect(RETENTION).toBe("15d");
    expect(file?.services.prometheus.command).toContain(`--storage.tsdb.retention.time=${RETENTION}`);
  });

  it("does the same in Kubernetes", () => {
    expect(kubernetes).toMatchObject({ global: compose?.global, rule_files: compose?.rule_files });
    expect(kubernetes?.scrape_configs[0]?.job_name).toBe("holdfast");
  });
});

describe("dashboards", () => {
  const panels = Object.entries(DASHBOARDS).flatMap(([name, { panels }]) =>
    panels.map((panel) => [`${name}: ${panel.title}`, panel] as const),
  );
  const named = new Set(
    panels.flatMap(([, { queries }]) => Object.values(queries).flatMap((query) => query.match(/\w+/g) ?? [])),
  );

  it.each(panels)("%s asks for metrics and labels that there are", (_, { queries }) => {
    for (const [legend, query] of Object.entries(queries)) {
      expect(faultsOf(query)).toEqual([]);
      const shown = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
      const grouped = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels = ""]) => labels.split(", "));
      expect(grouped).toEqual(expect.arrayContaining(shown));
    }
  });

  it("show every metric that there is", () => {
    const shown = (name: string) => [name, `${name}_bucket`, `${name}_sum`].some((one) => named.has(one));
    expect(Object.keys(METRICS).filter((name) => !shown(name))).toEqual([]);
  });

  it("are in Grafana's files as they are written down", () => {
    const files = readdirSync(join(folder, "grafana/dashboards")).filter((name) => name.endsWith(".json"));
    expect(files.sort()).toEqual(
      Object.keys(DASHBOARDS)
        .map((name) => `${name}.json`)
        .sort(),
    );
    for (const [name, dashboard] of Object.entries(DASHBOARDS)) {
      const file = readFileSync(join(folder, `grafana/dashboards/${name}.json`), "utf8");
      expect([name, JSON.parse(file)]).toEqual([name, toGrafana(dashboard)]);
    }
  });

  it("ask the data source that Grafana is given", () => {
    const [sources] = readYaml<{ datasources: readonly { uid: string; url: string }[] }>(
      "monitoring/grafana/provisioning/datasources/prometheus.yml",
    );
    expect(sources?.datasources).toMatchObject([{ uid: "prometheus", url: "http://prometheus:9090" }]);
  });
});

describe("a query that is wrong", () => {
  it.each([
    ["rate(oms_saga_start_total[5m])", "oms_saga_start_total is no metric"],
    ['oms_saga_completed_total{reslt="x"}', "oms_saga_completed_total has no label reslt"],
    ["sum by (kind) (oms_saga_active)", "groups by kind, which none of its metrics has"],
    ["rate(oms_saga_active[5m])", "rate() of the gauge oms_saga_active"],
    [
      "oms_saga_duration_seconds",
      "oms_saga_duration_seconds is a histogram: it has _bucket, _sum and _count",
    ],
    ["vector(1)", "names no metric"],
  ])("is found: %s", (query, fault) => {
    expect(faultsOf(query)).toEqual([fault]);
  });
});
