import { STATUS_CODES } from "node:http";
import { EVENTS, envelopeSchema, TOPICS } from "../../../lib/events.ts";
import { PROBLEMS } from "./problems.ts";

/** The tables of docs/api.md. */

export function errorTable(): string {
  const rows = Object.entries(PROBLEMS)
    .sort(([, [a]], [, [b]]) => a - b)
    .map(([code, [status, about]]) => [`${status} ${STATUS_CODES[status]}`, `\`${code}\``, about]);
  return table(["status", "code", "when"], rows);
}

export function eventTable(): string {
  const topics = Object.values(TOPICS).map(({ name }) => name as string);
  const rows = Object.entries(EVENTS)
    .sort(([, a], [, b]) => topics.indexOf(a.topic) - topics.indexOf(b.topic))
    .map(([type, { topic, aggregateType, about }]) => [`\`${topic}\``, `\`${type}\``, aggregateType, about]);
  const letters = [
    `\`${TOPICS.deadLetters.name}\``,
    "`DEAD_LETTER`",
    "dead-letter",
    "A message that was put aside.",
  ];
  return table(["topic", "event", "of which aggregate", "what it tells"], [...rows, letters]);
}

/** Each event with the JSON Schema of its data, for docs/events.md. */
export function eventSchemas(): string {
  const sections = Object.entries(EVENTS).map(([type, { topic, aggregateType, about, version, schema }]) =>
    [
      `### ${type}`,
      `${about} On \`${topic}\`, of a ${aggregateType}, version ${version} of \`data\`:`,
      fenced({ $schema: "https://json-schema.org/draft/2020-12/schema", ...schema }),
    ].join("\n\n"),
  );
  return sections.join("\n\n");
}

/** The JSON Schema of what surrounds the data of each event. */
export function envelope(): string {
  return fenced(envelopeSchema);
}

function fenced(json: object): string {
  return `\`\`\`json\n${JSON.stringify(json, null, 2)}\n\`\`\``;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
