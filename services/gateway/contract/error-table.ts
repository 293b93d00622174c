import { STATUS_CODES } from "node:http";
import { PROBLEMS } from "./problems.ts";

/** The table of codes for docs/api.md. */
export function errorTable(): string {
  const rows = Object.entries(PROBLEMS)
    .sort(([, [a]], [, [b]]) => a - b)
    .map(([code, [status, about]]) => [`${status} ${STATUS_CODES[status]}`, `\`${code}\``, about] as const);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(["status", "code", "when"]), line(rule), ...rows.map(line)].join("\n");
}
