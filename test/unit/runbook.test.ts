import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readWords } from "../../scripts/oms/read-words.ts";
import { VERBS } from "../../scripts/oms/verbs.ts";
import { readYaml, root } from "../support/deployment.ts";

/** docs/runbook.md: each alert has its section, and each command that it quotes is one that can be typed. */

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
}

const [alerts] = readYaml<{ groups: readonly { rules: readonly Rule[] }[] }>("monitoring/alerts.yml");
const rules = alerts?.groups.flatMap((group) => group.rules) ?? [];
const read = (file: string) => readFileSync(join(root, file), "utf8");
const runbook = read("docs/runbook.md");

test("each alert has a section, in the order of the rules", () => {
  const headings = runbook.slice(runbook.indexOf("\n## Alerts")).match(/(?<=^### ).*/gm);
  expect(headings).toEqual(rules.map(({ alert }) => alert));
});

test("the table of thresholds is that of the rules", () => {
  for (const { alert, expr, for: patience = "at once", labels } of rules) {
    const row = runbook.match(new RegExp(`^\\| ${alert} .*$`, "m"))?.[0] ?? "";
    const [, , when = "", wait, severity] = row.split("|").map((cell) => cell.trim());
    expect({ alert, wait, severity }).toEqual({ alert, wait: patience, severity: labels.severity });
    // What an expression compares with stands in the row, as a number or as a percentage.
    for (const [, text] of expr.matchAll(/>=? ([0-9.]+)(?! \*)/g)) {
      const number = Number(text);
      const said = [` ${number} `, `${number * 100} %`, ` ${number}`];
      if (number > 0)
        expect({ alert, number, said: said.some((one) => when.includes(one)) }).toMatchObject({ said: true });
    }
  }
});

const quoted = (text: string) =>
  [...text.matchAll(/(?:npm run(?: -s)? oms --|node scripts\/oms\.ts) ((?:"[^"\n]*"|[^\n`;|#")])+)/g)].map(
    ([, words = ""]) => words.trim(),
  );

/** As a shell splits them; what stands in for an id is one. */
function wordsOf(line: string): string[] {
  const filled = line
    .replaceAll(/<\w+Id>|\$id\b/g, "01990000-0000-7000-8000-0000000000a1")
    .replaceAll(/<\w+>/g, "WORD");
  return [...filled.matchAll(/"([^"]*)"|(\S+)/g)].map(([, text, word]) => text ?? word ?? "");
}

test.each(["docs/runbook.md", "docs/operations.md", "README.md"])(
  "every command in %s can be typed",
  (file) => {
    const commands = quoted(read(file));
    if (file === "docs/runbook.md") expect(commands.length).toBeGreaterThan(30);
    for (const command of commands) {
      const words = wordsOf(command);
      if (words[0] === "help") continue;
      expect(() => readWords(VERBS, words)).not.toThrow();
    }
  },
);

test("every verb is in the runbook", () => {
  const said = new Set(quoted(runbook).map((line) => line.split(" ")[0]));
  expect([...said].sort()).toEqual(["help", ...VERBS.map(({ name }) => name)].sort());
});

test("what the runbook links to is there", () => {
  const anchors = [...runbook.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
  for (const [, anchor = ""] of runbook.matchAll(/\]\(#([^)]*)\)/g)) expect(anchors).toContain(anchor);
});
