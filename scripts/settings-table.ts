import type { Setting } from "../lib/setting-kinds.ts";
import { SETTINGS } from "../lib/settings.ts";

/** docs/settings.md as tables of what lib/settings.ts says of each setting. */

type Entry = readonly [name: string, setting: Setting<unknown>];

const TIME = /_(MS|SECONDS|MINUTES|HOURS|DAYS)$/;
const FOR_TESTS = /^For tests:/;

/** The first kind that fits; each setting has one. */
const KINDS: Readonly<Record<string, (entry: Entry) => boolean>> = {
  "for tests": ([, { about }]) => FOR_TESTS.test(about),
  times: ([name]) => TIME.test(name),
  // Ports are numbers too, and no limits.
  limits: ([name, { fallback }]) => typeof fallback === "number" && !name.endsWith("PORT"),
  others: () => true,
};

const kindOf = (entry: Entry) => Object.keys(KINDS).find((kind) => KINDS[kind]?.(entry));

/** The table of one kind. */
export function settingsTable(kind: string): string {
  const rows = Object.entries<Setting<unknown>>(SETTINGS)
    .filter((entry) => kindOf(entry) === kind)
    .map(([name, setting]) => [
      `\`${name}\`${setting.secret ? "*" : ""}`,
      shown(setting.fallback),
      setting.expected,
      setting.about,
    ]);
  return [
    "| setting | default | takes | |",
    "|---|---|---|---|",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ]
    .join("\n")
    .replaceAll(/(?<=\w)\|(?=\w)/g, "\\|");
}

export const SETTING_KINDS: readonly string[] = Object.keys(KINDS);

function shown(fallback: unknown): string {
  if (fallback === undefined) return "none";
  if (Array.isArray(fallback)) return fallback.length === 0 ? "none" : fallback.join(",");
  return typeof fallback === "number" ? fallback.toLocaleString("en-US") : String(fallback);
}
