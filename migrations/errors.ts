import pg from "pg";

/** A migration did not go through; its transaction was rolled back, those before it stand. */
export class MigrationError extends Error {
  readonly type = "MIGRATION_FAILED";
  readonly migration: string;
  constructor(migration: string, cause: unknown) {
    super(`migration ${migration} failed: ${explain(cause)}`, { cause });
    this.name = "MigrationError";
    this.migration = migration;
  }
}

/** The database knows migrations that this code does not: an older release must not run on a newer schema. */
export class DatabaseNewerError extends Error {
  readonly type = "DATABASE_NEWER";
  readonly migrations: readonly string[];
  constructor(database: string, migrations: readonly string[]) {
    super(
      `database ${database} is newer than this code, which does not know ${migrations.join(", ")}; ` +
        "deploy the release that brought it, or migrate down with that release first",
    );
    this.name = "DatabaseNewerError";
    this.migrations = migrations;
  }
}

/** The file says something else today than what was applied: nobody can tell what the schema is. */
export class MigrationChangedError extends Error {
  readonly type = "MIGRATION_CHANGED";
  readonly migrations: readonly string[];
  constructor(database: string, migrations: readonly string[]) {
    super(
      `database ${database}: edited after it was applied: ${migrations.join(", ")}; ` +
        "put the change into a new migration (demo data: start again with --fresh)",
    );
    this.name = "MigrationChangedError";
    this.migrations = migrations;
  }
}

/** PostgreSQL's sentence, and where in the file it points. */
function explain(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const place =
    cause instanceof pg.DatabaseError && cause.position ? ` (at character ${cause.position})` : "";
  return `${cause.message}${place}`;
}
