import { parseArgs } from "node:util";
import { UsageError } from "../usage-error.ts";

export interface AuditOptions {
  /** How long after its deadline something may still be there: jobs and relays have intervals. */
  readonly graceSeconds: number;
  /** How long what two databases disagree about may take to agree. */
  readonly settleSeconds: number;
  /** Events published before this went to another bus, and are not looked for on this one. */
  readonly busSince?: Date;
  readonly json: boolean;
}

export const DEFAULTS: AuditOptions = { graceSeconds: 60, settleSeconds: 10, json: false };

export const USAGE = `usage: npm run audit -- [options]      (looks at the running system, or at the one DATABASE_URL names)
  --grace-seconds 60    what is late by less than this is no violation
  --settle-seconds 10   how long databases that disagree are given to agree, on a live system
  --bus-since TIME      the system had another bus before: look for no event on this one that is older
  --json                the whole report as JSON
exit code: 0 clean, 1 violations, 2 could not check`;

const OPTIONS = {
  "grace-seconds": { type: "string" },
  "settle-seconds": { type: "string" },
  "bus-since": { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean" },
} as const;

/** Undefined when help is wanted. @throws UsageError */
export function readOptions(args: readonly string[]): AuditOptions | undefined {
  const { values } = parse(args);
  if (values.help) return undefined;
  return {
    graceSeconds: seconds("grace-seconds", values["grace-seconds"], DEFAULTS.graceSeconds),
    settleSeconds: seconds("settle-seconds", values["settle-seconds"], DEFAULTS.settleSeconds),
    busSince: values["bus-since"] === undefined ? undefined : time("bus-since", values["bus-since"]),
    json: values.json ?? DEFAULTS.json,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

function seconds(name: string, given: string | undefined, fallback: number): number {
  const value = given === undefined ? fallback : Number(given);
  if (given === "" || !Number.isFinite(value) || value < 0)
    throw new UsageError(`--${name}: "${given}" is not a number of seconds\n${USAGE}`);
  return value;
}

function time(name: string, given: string): Date {
  const value = new Date(given);
  if (Number.isNaN(value.getTime())) throw new UsageError(`--${name}: "${given}" is not a time\n${USAGE}`);
  return value;
}
