import { parseArgs } from "node:util";
import { type Database, withTransaction } from "../lib/database.ts";
import { MESSAGING_NAMES } from "../lib/settings.ts";
import { appendToTrail } from "../mixins/audit-trail.store.ts";
import { withSystem } from "./audit/stopped-demo.ts";
import { relaysAlive, republishable } from "./backup/republish.ts";
import { reportFailure } from "./exit.ts";
import { withDatabases } from "./privacy/system.ts";
import { UsageError } from "./usage-error.ts";

const USAGE = `usage: npm run republish -- --since TIME      publishes again what the bus was given since then
For a bus that was lost, or is younger than its databases (docs/operations.md). With the services stopped: it marks the
events, and the relays publish them in their order when they start. Consumers that know an event already pass it over.
exit code: 0 done, 1 it failed, 2 a wrong setting or argument`;

/** npm run republish: by SQL on the outboxes, as whoever restores a database does it. */
try {
  const since = readSince();
  await withSystem((config) =>
    withDatabases(config, "republish", (databases) => republish(databases, since)),
  );
} catch (error) {
  process.exitCode = reportFailure("republish", error);
}

function readSince(): Date {
  let given: string | undefined;
  try {
    given = parseArgs({ options: { since: { type: "string" } } }).values.since;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
  const since = new Date(given ?? "");
  if (Number.isNaN(since.getTime()))
    throw new UsageError(`--since is not a time as in 2026-01-31T12:00Z\n${USAGE}`);
  return since;
}

type Databases = Parameters<Parameters<typeof withDatabases>[2]>[0];

async function republish(databases: Databases, since: Date): Promise<void> {
  for (const name of MESSAGING_NAMES) {
    const alive = await relaysAlive(databases(name));
    if (alive > 0) throw new UsageError(`the ${name} service runs: stop the services first`);
  }
  for (const name of MESSAGING_NAMES) {
    const events = await republishable(databases(name), since);
    console.log(`republish: ${events} events of ${name}`);
  }
  await tell(databases("saga"), since);
}

async function tell(database: Database, since: Date): Promise<void> {
  const detail = { since: since.toISOString() };
  const entry = { actor: "npm run republish", action: "outbox.republish", target: "outbox", detail };
  await withTransaction(database, async (tx) => appendToTrail(tx, [entry]));
}
