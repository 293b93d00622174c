import { DASHBOARDS } from "./dashboards/all.ts";
import { type Reading, readPanel } from "./dashboards/ask.ts";
import type { Panel, Unit } from "./dashboards/panel.ts";
import { configOrExit, reportFailure, UsageError } from "./exit.ts";

/**
 * npm run panels [-- saga|tcc|event-flow|service-health …]: what the dashboards show now, as text, of the Prometheus
 * that npm run observe has started (PROMETHEUS_PORT), or of the one whose address is given (-- http://…).
 */
const config = configOrExit("panels");
const args = process.argv.slice(2);
const given = args.find((arg) => /^https?:/.test(arg));
const prometheus = given ?? `http://127.0.0.1:${config.PROMETHEUS_PORT}`;
const names = args.filter((arg) => arg !== given);

try {
  for (const name of names.length > 0 ? names : Object.keys(DASHBOARDS)) await show(name);
} catch (error) {
  process.exitCode = reportFailure("panels", error);
}

async function show(name: string): Promise<void> {
  const dashboard = DASHBOARDS[name];
  if (dashboard === undefined)
    throw new UsageError(`there is no dashboard ${name}, but ${Object.keys(DASHBOARDS).join(", ")}`);
  console.log(`\n${dashboard.title}\n${"=".repeat(dashboard.title.length)}`);
  for (const panel of dashboard.panels) console.log(linesOf(panel, await readPanel(prometheus, panel)));
}

function linesOf({ title, unit }: Panel, readings: readonly Reading[]): string {
  const lines = readings.map(({ legend, value }) => `  ${shown(value, unit).padStart(12)}  ${legend}`);
  return [`\n${title}`, ...(lines.length > 0 ? lines : ["             -  no data"])].join("\n");
}

function shown(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return "-";
  switch (unit) {
    case "s":
      return value < 1 ? `${(value * 1_000).toFixed(1)} ms` : `${value.toFixed(2)} s`;
    case "percentunit":
      return `${(value * 100).toFixed(1)} %`;
    case "bytes":
      return `${(value / 1_048_576).toFixed(0)} MiB`;
    case "ops":
    case "reqps":
      return `${value.toFixed(2)}/s`;
    default:
      return Number.isInteger(value) ? String(value) : value.toFixed(2);
  }
}
