import pg from "pg";
import type { System } from "../system.ts";
import { type BucketCounts, bucketsOf } from "./histogram.ts";
import { type CpuTimes, cpuTimes, variableOf } from "./processes.ts";

/** Everything that is counted at both edges of a measured time. */
export interface Counters {
  readonly atMs: number;
  readonly cpu: CpuTimes;
  /** As the services count them; without the bus, which has no counters. */
  readonly statements: number;
  readonly commits: number;
  /** As PostgreSQL counts them, all databases; sessions report about once a second. */
  readonly serverCommits: number;
  readonly walBytes: number;
  /** Of each TCC phase, how many lasted at most so long, by the bound in seconds; of all services. */
  readonly phases: Readonly<Record<Phase, BucketCounts>>;
}

export const PHASES = ["try", "confirm"] as const;
export type Phase = (typeof PHASES)[number];

export interface Meter {
  read(loadPid: number): Promise<Counters>;
  servicePids(): readonly number[];
  close(): Promise<void>;
}

const SERVER = `
  select (select sum(xact_commit) from pg_stat_database)::float8 as commits,
         pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as wal`;

export interface Metered extends Pick<System, "urlOf" | "servicePids" | "postgresPid" | "brokerPids"> {
  /** Where services tell their metrics; none for those that are not ours. */
  readonly metricsUrls: readonly string[];
}

export function openMeter(system: System): Promise<Meter> {
  return openMeterOn({ ...system, metricsUrls: internalUrls(system, system.servicePids) });
}

export async function openMeterOn(system: Metered): Promise<Meter> {
  const client = new pg.Client({ connectionString: system.urlOf("postgres") });
  client.on("error", () => undefined);
  await client.connect();
  const { servicePids, metricsUrls } = system;
  return {
    async read(load) {
      const atMs = performance.now();
      const cpu = cpuTimes({
        services: servicePids,
        load,
        postgres: system.postgresPid,
        brokers: system.brokerPids,
      });
      const [{ rows }, ...texts] = await Promise.all([
        client.query<{ commits: number; wal: number }>(SERVER),
        ...metricsUrls.map(async (url) => (await fetch(url)).text()),
      ]);
      const text = texts.join("\n");
      return {
        atMs,
        cpu,
        statements: sumOf(text, "holdfast_database_statements_total"),
        commits: sumOf(text, "holdfast_database_commits_total"),
        serverCommits: rows[0]?.commits ?? 0,
        walBytes: rows[0]?.wal ?? 0,
        phases: {
          try: bucketsOf(text, "oms_tcc_phase_duration_seconds", 'phase="try"'),
          confirm: bucketsOf(text, "oms_tcc_phase_duration_seconds", 'phase="confirm"'),
        },
      };
    },
    servicePids: () => servicePids,
    close: () => client.end(),
  };
}

/** The demo file names the gateway's internal port; each other process was started with one of its own. */
function internalUrls({ demo }: System, pids: readonly number[]): string[] {
  if (pids.length === 1) return [`${demo.internal}/metrics`];
  const ports = pids.map((pid) => variableOf(pid, "INTERNAL_PORT")).filter((port) => port !== undefined);
  const { hostname } = new URL(demo.internal);
  return ports.map((port) => `http://${hostname}:${port}/metrics`);
}

/** Of one metric, over all labels. */
export function sumOf(text: string, name: string): number {
  const lines = text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "gm"));
  return [...lines].reduce((total, [, value]) => total + Number(value), 0);
}
