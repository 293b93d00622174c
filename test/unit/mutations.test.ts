/** npm run mutate switches guards off by replacing lines: this sees when one of them is not found any more. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MUTATIONS, mutated } from "../../scripts/mutate/mutations.ts";

const root = join(__dirname, "..", "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const suites = readdirSync(join(root, "test", "integration"))
  .filter((name) => name.endsWith(".suite.ts"))
  .map((name) => read(join("test", "integration", name)))
  .join("\n");

test("each guard is named once, and stands in the table", () => {
  const guards = MUTATIONS.map(({ guard }) => guard);
  expect(guards).toEqual([...new Set(guards)]);
  const table = read("docs/testing.md");
  expect(guards.filter((guard) => !table.includes(`| ${guard} `))).toEqual([]);
});

test.each(MUTATIONS)("$guard: can be switched off, and there is a test to notice", (mutation) => {
  const { file, suite, test: name = "" } = mutation;
  expect(mutated(mutation, read(file))).not.toBe(read(file));
  expect(existsSync(join(root, "test", suite))).toBe(true);
  expect(`${read(join("test", suite))}\n${suites}`).toContain(name);
});
