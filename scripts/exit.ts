import pg from "pg";
import { BusUnavailableError } from "../lib/bus/bus.ts";
import { type Config, ConfigError, loadConfig } from "../lib/config.ts";
import { DatabaseNewerError, MigrationChangedError, MigrationError } from "../migrations/errors.ts";
import { AlreadyRunningError } from "./demo/lock.ts";
import { PartFailedError, PartInUseError, PartUnavailableError } from "./parts/part.ts";
import { PortTakenError } from "./parts/ports.ts";
import { UsageError } from "./usage-error.ts";

export { UsageError } from "./usage-error.ts";

/** 0 = done, 1 = it failed, 2 = a setting or an argument has to be changed first. */
export type ExitCode = 0 | 1 | 2;

const wrongSetting = [ConfigError, PortTakenError, UsageError];
/** Failures whose message says all there is to say; a stack would only hide it. */
const plain = [
  AlreadyRunningError,
  BusUnavailableError,
  DatabaseNewerError,
  MigrationChangedError,
  MigrationError,
  PartFailedError,
  PartInUseError,
  PartUnavailableError,
];

/** Prints the error, in one line where that is all it takes, and answers the exit code. */
export function reportFailure(program: string, error: unknown): ExitCode {
  if (wrongSetting.some((kind) => error instanceof kind)) {
    console.error(`${program}: ${(error as Error).message}`);
    return 2;
  }
  const line = plain.some((kind) => error instanceof kind) ? (error as Error).message : connectionLine(error);
  if (line !== undefined) console.error(`${program}: ${line}`);
  else console.error(`${program}:`, error);
  return 1;
}

/** PostgreSQL away or refusing us is the commonest failure of all, and Node's error for it is a page long. */
function connectionLine(error: unknown): string | undefined {
  if (error instanceof AggregateError) return connectionLine(error.errors[0]);
  if (error instanceof pg.DatabaseError) return `PostgreSQL: ${error.message}`;
  if (error instanceof Error && "syscall" in error && error.syscall === "connect")
    return `cannot connect: ${error.message}`;
  return undefined;
}

/** The configuration, or the end of the process with the one line that says which setting is wrong. */
export function configOrExit(program: string): Config {
  try {
    return loadConfig();
  } catch (error) {
    process.exit(reportFailure(program, error));
  }
}
