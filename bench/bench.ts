/**
 * What Holdfast does in a second and what an order costs, measured from outside: through HTTP, against the system as
 * `npm start` or `npm run stack` runs it. `npm run bench -- --help` tells the options, docs/performance.md the results.
 */
import { writeFileSync } from "node:fs";
import { runAll } from "./all.ts";
import { readCommand } from "./options.ts";
import { runBench } from "./run.ts";

process.exitCode = await main();

async function main(): Promise<number> {
  let command: ReturnType<typeof readCommand>;
  try {
    command = readCommand(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return 2;
  }
  if ("help" in command) {
    console.log(command.help);
    return 0;
  }
  const results = "all" in command ? await runAll(command.all) : await runBench(command);
  if (command.jsonFile !== undefined)
    writeFileSync(command.jsonFile, `${JSON.stringify(results, null, 1)}\n`);
  const all = Array.isArray(results) ? results : [results];
  return all.some(({ complaints }) => complaints.length > 0) ? 1 : 0;
}
