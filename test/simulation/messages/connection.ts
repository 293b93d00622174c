import type pg from "pg";
import { ArrayParameter } from "../../../lib/array-literal.ts";
import type { Database } from "../../../lib/database.ts";
import { asDatabaseError } from "../../../lib/database-errors.ts";
import type { ModelDatabase, ModelTx } from "../model-database.ts";
import type { Process } from "../scheduler.ts";
import type { MessageTables } from "./tables.ts";

/** A `Database` whose pool hands out connections to the model: transactions are those of lib/database.ts. */
export function connect(database: ModelDatabase, tables: MessageTables, owner: Process): Database {
  const broken = (error: unknown) => {
    const { type } = error as { type?: string };
    if (type === undefined) throw error;
    const code = type === "LOCK_TIMEOUT" ? "55P03" : "ECONNRESET";
    throw Object.assign(new Error("Connection terminated"), { code });
  };
  const pool = { connect: async () => new Connection(database, tables, owner, broken) };
  const counters = { statements: 0, commits: 0, rollbacks: 0, retries: 0 };
  return {
    name: owner.name,
    place: owner.name,
    pool: pool as unknown as pg.Pool,
    counters,
    onHookError(error) {
      throw error;
    },
    async query<Row>(statement: { name: string }, values: readonly unknown[] = []) {
      try {
        const rows = await tables.execute(database, owner, statement.name, values, undefined).catch(broken);
        return rows as Row[];
      } catch (error) {
        throw asDatabaseError(error, owner.name);
      }
    },
    close: async () => undefined,
  };
}

const asGiven = (value: unknown) => (value instanceof ArrayParameter ? value.elements : value);

type Query = string | { readonly name: string; readonly values: readonly unknown[] };

/** What withTransaction needs of a pg client. Statements that are sent without waiting are executed in their order. */
class Connection {
  readonly connection = { stream: { cork() {}, uncork() {} } };
  private readonly database: ModelDatabase;
  private readonly tables: MessageTables;
  private readonly owner: Process;
  private readonly broken: (error: unknown) => never | undefined;
  private tx: ModelTx | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    database: ModelDatabase,
    tables: MessageTables,
    owner: Process,
    broken: (error: unknown) => never | undefined,
  ) {
    this.database = database;
    this.tables = tables;
    this.owner = owner;
    this.broken = broken;
  }

  query(query: Query): Promise<{ rows: unknown[]; command: string }> {
    const running = this.last.then(() => this.run(query));
    this.last = running.catch(() => undefined);
    return running;
  }

  on(): void {}
  off(): void {}
  release(): void {}

  private async run(query: Query) {
    const command = typeof query === "string" ? query.toUpperCase() : "";
    if (command === "BEGIN") this.tx = this.database.begin(this.owner);
    else if (command === "ROLLBACK") this.database.rollback(this.opened());
    else if (command === "COMMIT") await this.database.commit(this.opened()).catch(this.broken);
    else if (typeof query !== "string") {
      const { name, values } = query;
      const rows = await this.tables
        .execute(this.database, this.owner, name, values.map(asGiven), this.tx)
        .catch(this.broken);
      return { rows: rows ?? [], command };
    }
    return { rows: [], command };
  }

  private opened(): ModelTx {
    if (!this.tx) throw new TypeError("no transaction is open");
    return this.tx;
  }
}
