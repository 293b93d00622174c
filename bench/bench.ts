/**
 * What Holdfast does in a second and what an order costs, measured from outside: through HTTP, against the system as
 * `npm start` or `npm run stack` runs it. `npm run bench -- --help` tells the options, docs/performance.md the results.
 */
import { writeFileSync } from "node:fs";
import { type BenchOptions, readOptions, USAGE } from "./options.ts";
import { describeMachine, type Machine, machineLines } from "./report/machine.ts";
import { studyCells } from "./studies/cells.ts";
import { studyCosts } from "./studies/costs.ts";
import { studyFlat } from "./studies/flat.ts";
import { studyProfile } from "./studies/profile.ts";
import { studyStatements } from "./studies/statements.ts";
import type { Study } from "./studies/study.ts";
import { newDataDir, removeDataDir, type System, startSystem } from "./system.ts";

const STUDIES: Record<BenchOptions["study"], Study> = {
  cells: studyCells,
  costs: studyCosts,
  flat: studyFlat,
  profile: studyProfile,
  statements: studyStatements,
};

process.exitCode = await main();

async function main(): Promise<number> {
  let options: BenchOptions | undefined;
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return 2;
  }
  if (options === undefined) {
    console.log(USAGE);
    return 0;
  }
  return bench(options);
}

async function bench(options: BenchOptions): Promise<number> {
  const dataDir = newDataDir();
  let system: System | undefined;
  let machine: Machine | undefined;
  const stop = async () => {
    await system?.stop();
    system = undefined;
  };
  const finish = async () => {
    await stop();
    if (options.keep) console.log(`bench: kept ${dataDir}`);
    else removeDataDir(dataDir);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void finish().finally(() => process.exit(130)));
  }
  const start = async (how: { readonly inspect?: boolean } = {}) => {
    const { system: program, logLevel } = options;
    system = await startSystem({ program, dataDir, logLevel, ...how });
    machine ??= await describeMachine(system);
    return system;
  };
  const progress = (line: string) => console.error(`bench: ${line}`);
  try {
    const study = STUDIES[options.study];
    const { report, complaints, data } = await study({ options, dataDir, start, stop, progress });
    if (machine !== undefined) console.log(`\n${machineLines(machine)}`);
    console.log(`${settingsLine(options)}\n\n${report}`);
    for (const complaint of complaints) console.error(`bench: WRONG: ${complaint}`);
    if (options.jsonFile !== undefined)
      writeFileSync(options.jsonFile, `${JSON.stringify({ machine, options, complaints, data }, null, 1)}\n`);
    return complaints.length > 0 ? 1 : 0;
  } finally {
    await finish();
  }
}

function settingsLine({ system, logLevel, seconds, warmSeconds, runs }: BenchOptions): string {
  const program = system === "start" ? "npm start (one process)" : "npm run stack (a process per service)";
  return `${program}, LOG_LEVEL=${logLevel} to a file, ${seconds} s after ${warmSeconds} s, ${runs} run(s)`;
}
