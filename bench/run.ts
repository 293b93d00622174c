import type { BenchOptions, StudyName } from "./options.ts";
import { describeMachine, type Machine, machineLines } from "./report/machine.ts";
import { studyBacklog } from "./studies/backlog.ts";
import { studyCells } from "./studies/cells.ts";
import { studyCosts } from "./studies/costs.ts";
import { studyFlash } from "./studies/flash.ts";
import { studyFlat } from "./studies/flat.ts";
import { studyHistory } from "./studies/history.ts";
import { studyPeers } from "./studies/peers.ts";
import { studyProfile } from "./studies/profile.ts";
import { studyRetention } from "./studies/retention.ts";
import { studyStatements } from "./studies/statements.ts";
import type { Study } from "./studies/study.ts";
import { studyWaiting } from "./studies/waiting.ts";
import { newDataDir, removeDataDir, type System, startSystem } from "./system.ts";

const STUDIES: Record<StudyName, Study> = {
  backlog: studyBacklog,
  cells: studyCells,
  costs: studyCosts,
  flash: studyFlash,
  flat: studyFlat,
  history: studyHistory,
  peers: studyPeers,
  profile: studyProfile,
  retention: studyRetention,
  statements: studyStatements,
  waiting: studyWaiting,
};

/** All that a bench has found, as --json writes it. */
export interface BenchResult {
  readonly machine: Machine | undefined;
  readonly options: BenchOptions;
  readonly complaints: readonly string[];
  readonly data: unknown;
}

/** Runs one study on a system and a data folder of its own, and prints its report. */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
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
  const onSignal = () => void finish().finally(() => process.exit(130));
  for (const signal of SIGNALS) process.once(signal, onSignal);
  const start = async (how: { readonly inspect?: boolean } = {}) => {
    const { system: program, logLevel, replicas } = options;
    system = await startSystem({ program, dataDir, logLevel, replicas, ...how });
    await describe(system);
    return system;
  };
  const describe = async (server: Pick<System, "urlOf">) => {
    machine ??= await describeMachine(server);
  };
  const progress = (line: string) => console.error(`bench: ${line}`);
  try {
    const study = STUDIES[options.study];
    const { report, complaints, data } = await study({ options, dataDir, start, stop, describe, progress });
    if (machine !== undefined) console.log(`\n${machineLines(machine)}`);
    console.log(`${settingsLine(options)}\n\n${report}`);
    for (const complaint of complaints) console.error(`bench: WRONG: ${complaint}`);
    return { machine, options, complaints, data };
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    await finish();
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function settingsLine({
  system,
  replicas,
  logLevel,
  seconds,
  warmSeconds,
  runs,
  study,
}: BenchOptions): string {
  const processes = replicas > 1 ? `${replicas} processes per service` : "a process per service";
  const program = system === "start" ? "npm start (one process)" : `npm run stack (${processes})`;
  const times = study === "cells" ? `, ${seconds} s after ${warmSeconds} s, ${runs} run(s)` : "";
  return `${program}, LOG_LEVEL=${logLevel} to a file${times}`;
}
