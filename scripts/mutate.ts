import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { reportFailure, UsageError } from "./exit.ts";
import type { Mutation } from "./mutate/mutation.ts";
import { MUTATIONS } from "./mutate/mutations.ts";
import { makeScratch, type Outcome } from "./mutate/scratch.ts";

const USAGE = `usage: npm run mutate -- [options]      (switches guards off, one at a time, in a copy of this working tree)
  --only TEXT    guards whose line holds this text, as "barrier" or "unit/"
  --list         names them, and runs nothing
  --clean        runs the tests with all guards on first: what fails then proves nothing
exit code: 0 each was noticed, 1 some were not, 2 could not run`;

interface Line {
  readonly mutation: Mutation;
  readonly outcome: Outcome;
}

async function main(): Promise<number> {
  const { only = "", list, clean, help } = readOptions();
  const chosen = MUTATIONS.filter(({ guard, file, suite }) => `${guard} ${file} ${suite}`.includes(only));
  if (help) console.log(USAGE);
  if (list) for (const { guard, suite, test = "" } of chosen) console.log(`${guard}: ${suite} ${test}`);
  if (help || list) return 0;
  if (chosen.length === 0) throw new UsageError(`no guard is called "${only}"\n${USAGE}`);
  const scratch = await makeScratch(fileURLToPath(new URL("..", import.meta.url)));
  const lines: Line[] = [];
  try {
    for (const mutation of chosen) {
      const before = clean ? await scratch.runClean(mutation) : undefined;
      if (before && (before.failed.length > 0 || before.broken !== undefined))
        throw new Error(`${mutation.suite} fails with all guards on: ${before.failed.join(", ")}`);
      const outcome = await scratch.run(mutation);
      lines.push({ mutation, outcome });
      console.log(rowOf({ mutation, outcome }));
    }
  } finally {
    scratch.remove();
  }
  const survivors = lines.filter(({ outcome }) => outcome.failed.length === 0);
  console.log(`${lines.length} guards switched off, ${survivors.length} not noticed`);
  return survivors.length > 0 ? 1 : 0;
}

function rowOf({ mutation: { guard, suite }, outcome }: Line): string {
  const { failed, broken, seconds } = outcome;
  const noticed = failed.length > 0 ? `"${failed[0]}"` : `NOT NOTICED${broken ? `: ${broken}` : ""}`;
  return `| ${guard} | ${suite.replace(/\.test\.ts$/, "")}: ${noticed} | ${seconds.toFixed(0)} s |`;
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string" },
        list: { type: "boolean" },
        clean: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = reportFailure("mutate", error);
}
