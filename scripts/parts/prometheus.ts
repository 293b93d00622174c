import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ClaimRequest } from "./claim.ts";
import { termSteps } from "./guard.ts";
import { type OwnedBy, type OwnPart, PartFailedError, type Progress } from "./part.ts";
import { PortTakenError, resolvePort } from "./ports.ts";
import { lastLine } from "./process.ts";
import { findPrometheus, type PrometheusPrograms } from "./prometheus-programs.ts";
import { openServer, type ServerSpec, stopProcess } from "./server.ts";

/** A process of ours that answers /metrics. */
export interface ScrapeTarget {
  /** host:port */
  readonly address: string;
  /** The label `app`: the name of its service, or of the process that runs several. */
  readonly app: string;
  /** Services in this one process: each is up as long as it answers. */
  readonly services?: readonly string[];
}

export interface PrometheusOptions {
  readonly stackDir: string;
  readonly dataDir: string;
  readonly port: number | "auto";
  /** File with the alerts. */
  readonly rules: string;
  /** Default 15s. */
  readonly interval?: string;
  readonly ownedBy?: OwnedBy;
  readonly progress?: Progress;
}

export interface PrometheusPart extends OwnPart {
  readonly programs: PrometheusPrograms;
  /** What is scraped from now on. */
  scrape(targets: readonly ScrapeTarget[]): void;
}

/** The same as in monitoring/prometheus.yml and docker-compose.yml. */
export const SCRAPE_INTERVAL = "15s";
export const RETENTION = "15d";

/** Starts Prometheus on 127.0.0.1 with our alerts, and nothing to scrape yet. */
export async function startPrometheus(options: PrometheusOptions): Promise<PrometheusPart> {
  const programs = await findPrometheus(resolve(options.stackDir), options.progress);
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const marker = `--storage.tsdb.path=${join(dataDir, "tsdb")} `;
  const config = configText(dataDir, options);
  const claim: ClaimRequest = {
    part: "prometheus",
    file: join(dataDir, "claim.json"),
    marker,
    port: options.port === "auto" ? 0 : options.port,
    settings: config,
    ownedBy: options.ownedBy ?? "process",
    stop: (pid) => stopProcess(pid, marker, termSteps),
  };
  writeTargets(dataDir, []);
  const part = await openServer(claim, async (running) => {
    const port = running?.port ?? (await resolvePort("PROMETHEUS_PORT", options.port));
    return serverSpec({ program: programs.prometheus, port, claim, dataDir, config });
  });
  // Not spread: a part's process id changes when it is started anew.
  return Object.assign(part, {
    programs,
    scrape: (targets: readonly ScrapeTarget[]) => writeTargets(dataDir, targets),
  });
}

interface Given extends Pick<ServerSpec, "port" | "claim"> {
  readonly program: string;
  readonly dataDir: string;
  readonly config: string;
}

function serverSpec({ program, port, claim, dataDir, config }: Given): ServerSpec {
  const logFile = join(dataDir, "prometheus.log");
  const url = `http://127.0.0.1:${port}`;
  return {
    name: "prometheus",
    url,
    port,
    claim,
    logFile,
    steps: termSteps,
    startMsMax: 30_000,
    launch: () => {
      const file = join(dataDir, "prometheus.json");
      writeFileSync(file, config);
      const data = [
        `--storage.tsdb.path=${join(dataDir, "tsdb")}`,
        `--storage.tsdb.retention.time=${RETENTION}`,
      ];
      return {
        command: program,
        args: [...data, `--config.file=${file}`, `--web.listen-address=127.0.0.1:${port}`],
      };
    },
    isReady: () =>
      fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(1_000) }).then(
        ({ ok }) => ok,
        () => false,
      ),
    failure: (log) => {
      if (/address already in use/.test(log)) return new PortTakenError("PROMETHEUS_PORT", port);
      return new PartFailedError(
        "prometheus",
        `did not start: ${lastLine(log, /level=error|err=/)} (log: ${logFile})`,
      );
    },
  };
}

/** As monitoring/prometheus.yml, in JSON, which is YAML too; only where the services are stands in files. */
function configText(dataDir: string, { rules, interval = SCRAPE_INTERVAL }: PrometheusOptions): string {
  const files = (name: string) => [{ files: [join(dataDir, name)], refresh_interval: "5s" }];
  return JSON.stringify({
    global: { scrape_interval: interval, evaluation_interval: interval, scrape_timeout: interval },
    rule_files: [resolve(rules)],
    scrape_configs: [
      { job_name: "holdfast", file_sd_configs: files("processes.json") },
      {
        // Services that share a process share its figures, and each is up: ServiceDown asks for all of them.
        job_name: "holdfast-services",
        file_sd_configs: files("services.json"),
        relabel_configs: [{ target_label: "job", replacement: "holdfast" }],
        metric_relabel_configs: [{ source_labels: ["__name__"], regex: ".*", action: "drop" }],
      },
    ],
  });
}

function writeTargets(dataDir: string, targets: readonly ScrapeTarget[]): void {
  const one = (address: string, app: string) => ({ targets: [address], labels: { app } });
  const processes = targets.map(({ address, app }) => one(address, app));
  const services = targets.flatMap(({ address, services = [] }) =>
    services.map((name) => one(address, name)),
  );
  writeWhole(join(dataDir, "processes.json"), processes);
  writeWhole(join(dataDir, "services.json"), services);
}

/** Prometheus reads the file the moment it changes: never half of it. */
function writeWhole(file: string, content: object): void {
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(content));
  renameSync(draft, file);
}
