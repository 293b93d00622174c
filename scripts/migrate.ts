import type { Config } from "../lib/config.ts";
import { TOPICS } from "../lib/events.ts";
import { DATABASE_NAMES } from "../lib/settings.ts";
import { type MigratedName, migrateAll, migratedNames } from "../migrations/run.ts";
import { configOfRunning } from "./demo/demo-file.ts";
import { reportFailure } from "./exit.ts";
import { ensureTopics } from "./topics.ts";
import { UsageError } from "./usage-error.ts";

const usage = `usage: npm run migrate -- [up] [service]         bring all databases (and the topics), or one, up to date
       npm run migrate -- down <service> [all]  take back its last migration, or all of them
services: ${DATABASE_NAMES.join(", ")}, bus`;

/** npm run migrate: exit code 0 done, 1 a migration failed, 2 wrong arguments or settings. */
try {
  const [direction = "up", name, extent, ...rest] = process.argv.slice(2);
  if (direction !== "up" && direction !== "down")
    throw new UsageError(`"${direction}" is neither up nor down\n${usage}`);
  // A slip of the finger must not drop the tables of every service.
  if (direction === "down" && name === undefined) throw new UsageError(`down needs a service\n${usage}`);
  const all = direction === "down" && extent === "all";
  if (rest.length > 0 || (extent !== undefined && !all)) throw new UsageError(usage);
  const config = configOfRunning();
  const done = await migrateAll(config, namesOf(config, name), { direction, steps: all ? "all" : 1 });
  for (const [database, migrations] of done) print(database, direction, migrations);
  if (name === undefined) {
    await ensureTopics(config);
    console.log(`topics: ${Object.values(TOPICS).length} exist`);
  }
} catch (error) {
  process.exitCode = reportFailure("migrate", error);
}

function namesOf(config: Config, name: string | undefined): readonly MigratedName[] {
  if (name === undefined) return migratedNames(config);
  const found = ([...DATABASE_NAMES, "bus"] as const).find((one) => one === name);
  if (found === undefined) throw new UsageError(`no service "${name}" has a database\n${usage}`);
  return [found];
}

function print(database: MigratedName, direction: "up" | "down", migrations: readonly string[]): void {
  const nothing = direction === "up" ? "is up to date" : "has nothing to take back";
  if (migrations.length === 0) console.log(`${database}: ${nothing}`);
  for (const migration of migrations) console.log(`${database}: ${direction} ${migration}`);
}
