import { parseArgs } from "node:util";
import { type Database, withTransaction } from "../lib/database.ts";
import { createPersonalData } from "../lib/personal-data/personal-data.ts";
import { appendToTrail } from "../mixins/audit-trail.store.ts";
import { configOfRunning } from "./demo/demo-file.ts";
import { reportFailure } from "./exit.ts";
import { reindexEmails } from "./privacy/email-index.ts";
import { HOLDERS } from "./privacy/holders.ts";
import { type Rewrapped, rewrap } from "./privacy/rewrap.ts";
import { keyRingOf, withDatabases } from "./privacy/system.ts";
import { UsageError } from "./usage-error.ts";

const USAGE = `usage: npm run rewrap [-- --step-size 200]
Brings all personal data under the primary key of PERSONAL_DATA_KEYS, while the system runs; may be cut off and run again.
exit code: 0 nothing is left under another key, 1 something is, 2 a wrong setting or argument`;

/** npm run rewrap: see docs/privacy.md. */
try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  process.exitCode = reportFailure("rewrap", error);
}

async function main(): Promise<boolean> {
  const stepSize = readStepSize();
  const config = configOfRunning();
  const ring = await keyRingOf(config);
  const personalData = createPersonalData(ring);
  return withDatabases(config, "rewrap", async (databases) => {
    const done: Rewrapped[] = [];
    for (const holder of HOLDERS) {
      const database = databases(holder.database);
      done.push(await rewrap(holder, { database, personalData, primary: ring.primary, stepSize }));
    }
    done.push(await reindexEmails(databases("customer"), personalData, stepSize));
    for (const one of done) report(one);
    await tell(databases("customer"), ring.primary, done);
    const left = done.reduce((sum, { missed, unreadable }) => sum + missed + unreadable.length, 0);
    console.log(
      left === 0
        ? `rewrap: all personal data is under the key "${ring.primary}"`
        : `rewrap: ${left} rows are left: run it again; if they stay, see docs/privacy.md`,
    );
    return left === 0;
  });
}

/** In the audit trail, where something was changed. */
async function tell(database: Database, primary: string, done: readonly Rewrapped[]): Promise<void> {
  const changed = done.filter(({ rewrapped }) => rewrapped > 0);
  if (changed.length === 0) return;
  const detail = Object.fromEntries(changed.map(({ what, rewrapped }) => [what, rewrapped]));
  const entry = { actor: "npm run rewrap", action: "personal-data.rewrap", target: `key ${primary}`, detail };
  await withTransaction(database, async (tx) => appendToTrail(tx, [entry]));
}

function readStepSize(): number {
  const options = { "step-size": { type: "string", default: "200" } } as const;
  let given: string;
  try {
    given = parseArgs({ options }).values["step-size"];
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
  const size = /^\d{1,5}$/.test(given) ? Number(given) : 0;
  if (size < 1 || size > 10_000)
    throw new UsageError(`--step-size: "${given}" is not from 1 to 10000\n${USAGE}`);
  return size;
}

function report({ what, looked, rewrapped, missed, unreadable }: Rewrapped): void {
  const notes = [
    ...(missed > 0 ? [`${missed} were being written`] : []),
    ...(unreadable.length > 0 ? [`cannot do ${unreadable.slice(0, 20).join(", ")}`] : []),
  ];
  console.log(`rewrap: ${what}: ${rewrapped} of ${looked} rows${notes.map((note) => `; ${note}`).join("")}`);
}
