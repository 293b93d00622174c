import type { ActiveAlert } from "./prometheus-api.ts";

const HIDDEN = new Set(["alertname", "severity", "job"]);

/** Tells of alerts when they begin to fire and when they end, and of nothing between. */
export function createAlertLines(): (alerts: readonly ActiveAlert[]) => string[] {
  let known = new Map<string, string>();
  return (alerts) => {
    const firing = new Map(
      alerts.filter(({ state }) => state === "firing").map((alert) => [nameOf(alert), textOf(alert)]),
    );
    const begun = [...firing].filter(([name]) => !known.has(name)).map(([, text]) => `FIRING ${text}`);
    const ended = [...known.keys()].filter((name) => !firing.has(name)).map((name) => `ended  ${name}`);
    known = firing;
    return [...begun, ...ended];
  };
}

function nameOf({ labels }: ActiveAlert): string {
  const shown = Object.entries(labels).filter(([name]) => !HIDDEN.has(name));
  const text = shown.map(([name, value]) => `${name}=${value}`).join(", ");
  return `${labels.alertname}${text && ` {${text}}`}`;
}

const textOf = (alert: ActiveAlert) =>
  `${nameOf(alert)} [${alert.labels.severity}]: ${alert.annotations.summary} (${alert.annotations.runbook})`;
