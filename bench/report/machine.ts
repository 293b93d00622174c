import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { inDatabase } from "../data.ts";
import type { System } from "../system.ts";

/** What a figure depends on, besides the code. */
export interface Machine {
  readonly at: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly postgres: string;
  readonly durability: string;
  readonly commit: string;
  readonly load: readonly number[];
}

export async function describeMachine(system: Pick<System, "urlOf">): Promise<Machine> {
  const rows = await inDatabase(system.urlOf("postgres"), async (client) => {
    const text = `select name, setting || coalesce(unit, '') as value from pg_settings
      where name in ('server_version', 'fsync', 'synchronous_commit', 'full_page_writes') order by name`;
    return (await client.query<{ name: string; value: string }>(text)).rows;
  });
  const settings = new Map(rows.map(({ name, value }) => [name, value]));
  return {
    at: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
    postgres: settings.get("server_version") ?? "unknown",
    durability: [...settings]
      .filter(([name]) => name !== "server_version")
      .map((pair) => pair.join(" "))
      .join(", "),
    commit: gitCommit(),
    load: loadavg(),
  };
}

const PRODUCT = ["engine", "lib", "migrations", "mixins", "services", "scripts", "moleculer.config.ts"];

/** With a plus sign when the system in the checkout differs from it. */
function gitCommit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "--", ...PRODUCT) === "" ? "" : "+"}`;
  } catch {
    return "unknown";
  }
}

export function machineLines(machine: Machine): string {
  const { cpu, cores, memoryGb, kernel, node, postgres, durability, commit, load, at } = machine;
  return [
    `${at}, commit ${commit}, Node ${node}, PostgreSQL ${postgres} (${durability})`,
    `${cores} x ${cpu}, ${memoryGb} GB, Linux ${kernel}, load before ${load.map((one) => one.toFixed(1)).join(" ")}`,
  ].join("\n");
}
