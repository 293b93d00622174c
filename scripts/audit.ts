import { type AuditOptions, readOptions, USAGE } from "./audit/options.ts";
import { exitCodeOf, reportLines } from "./audit/report.ts";
import { runAudit } from "./audit/run.ts";
import { DatabaseUnreadableError } from "./audit/snapshot.ts";
import { withSystem } from "./audit/stopped-demo.ts";
import { reportFailure } from "./exit.ts";

/**
 * npm run audit: does what docs/guarantees.md promises hold of this system? By SQL and by reading the bus alone; it
 * shares no code with what it checks. Exit code 0 clean, 1 violations, 2 could not check.
 */
process.exitCode = await main();

async function main(): Promise<number> {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options !== undefined) return await audit(options);
    console.log(USAGE);
    return 0;
  } catch (error) {
    if (error instanceof DatabaseUnreadableError) console.error(`audit: could not check: ${error.message}`);
    else reportFailure("audit", error);
    return 2;
  }
}

async function audit(options: AuditOptions): Promise<number> {
  const report = await withSystem((config) => runAudit(config, options));
  console.log(options.json ? JSON.stringify(report, null, 2) : reportLines(report).join("\n"));
  return exitCodeOf(report);
}
