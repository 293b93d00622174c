import { existsSync } from "node:fs";
import { type Config, databaseUrl } from "../../lib/config.ts";
import { type Database, openDatabase } from "../../lib/database.ts";
import { type KeyRing, openKeyRing } from "../../lib/personal-data/key-ring.ts";
import type { DatabaseName } from "../../lib/settings.ts";
import { keyRingFile } from "../demo/key-ring.ts";

export type Databases = (name: DatabaseName) => Database;

/** Runs `use` with a pool for each database that it asks for, and closes them. */
export async function withDatabases<Result>(
  config: Config,
  program: string,
  use: (databases: Databases) => Promise<Result>,
): Promise<Result> {
  const opened = new Map<DatabaseName, Database>();
  const open = (name: DatabaseName) =>
    openDatabase({ url: databaseUrl(config, name), name: `holdfast ${program}`, connectionsMax: 1 });
  try {
    return await use((name) => {
      const database = opened.get(name) ?? open(name);
      opened.set(name, database);
      return database;
    });
  } finally {
    await Promise.all([...opened.values()].map((database) => database.close()));
  }
}

/** The ring that is given or, where none is, that of the demo in the data folder. @throws ConfigError */
export function keyRingOf({ PERSONAL_DATA_KEYS: given, DATA_DIR }: Config): Promise<KeyRing> {
  const ofDemo = keyRingFile(DATA_DIR);
  return openKeyRing(given ?? (existsSync(ofDemo) ? ofDemo : undefined));
}
