import type { Duplex } from "node:stream";
import pg from "pg";
import { ArrayParameter } from "./array-literal.ts";
import { asDatabaseError, isConnectionError, isSerializationFailure } from "./database-errors.ts";
import { CommitOutcomeUnknownError } from "./errors.ts";
import { faults, passCommit, passRead } from "./fault-points.ts";
import { onlyReads, type Statement } from "./statement.ts";
import { inStatement, runTraced } from "./tracing/traced-database.ts";
import { tracing } from "./tracing/tracing.ts";

export interface DatabaseOptions {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly name: string;
  /** Its name in fault points, where `name` is another one in each process. */
  readonly place?: string;
  readonly connectionsMax?: number;
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** Extra `-c key=value` settings of each connection. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Told of a hook that threw after its transaction had committed; default a warning of the process. */
  readonly onHookError?: (error: unknown) => void;
}

/** Runs statements: a transaction, or the database itself (each statement then commits alone). */
export interface Tx {
  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
  /** Sends a statement whose rows nobody needs and goes on at once; its error surfaces at commit. */
  send(statement: Statement, values?: readonly unknown[]): void;
  /** Runs once the transaction has committed, and never otherwise. What it throws is logged: the commit stands. */
  afterCommit(hook: () => void): void;
}

export interface DatabaseCounters {
  statements: number;
  commits: number;
  rollbacks: number;
  retries: number;
}

export interface Database {
  readonly name: string;
  /** Its name in fault points. */
  readonly place: string;
  readonly pool: pg.Pool;
  readonly counters: DatabaseCounters;
  onHookError(error: unknown): void;
  query<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

// int8 and numeric arrive as strings; every bigint of ours is money or a position within 2^53, checked here once.
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} is beyond the safe integers`);
  return value;
});

/**
 * Every write of ours goes by key, and queue-like tables look empty to the planner for ever: a plan made
 * over an empty table kept sequential scans over dead rows and halved the throughput (1,240 -> 2,293
 * orders/s with these pinned). Filtered reads use the Sequelize pool, which keeps the planner's freedom.
 */
const PINNED_PLANS = {
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  jit: "off",
  plan_cache_mode: "force_generic_plan",
};

/** Opens a pool of pipelined connections. Nothing connects before the first query. */
export function openDatabase(options: DatabaseOptions): Database {
  const counters: DatabaseCounters = { statements: 0, commits: 0, rollbacks: 0, retries: 0 };
  const settings = {
    ...PINNED_PLANS,
    statement_timeout: String(options.statementTimeoutMs ?? 5_000),
    lock_timeout: String(options.lockTimeoutMs ?? 2_000),
    idle_in_transaction_session_timeout: "15000",
    ...options.settings,
  };
  const config: pg.PoolConfig & { pipeline: boolean } = {
    connectionString: options.url,
    application_name: options.name,
    max: options.connectionsMax ?? 8,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    options: Object.entries(settings)
      .map(([key, value]) => `-c ${key}=${value}`)
      .join(" "),
    // One round trip for begin + statements + commit, see withTransaction.
    pipeline: true,
  };
  const pool = new pg.Pool(config);
  const { name, place = name } = options;
  // An idle client whose server goes away emits here; the pool drops it and the next query reports the outage.
  pool.on("error", () => undefined);
  let closing: Promise<void> | undefined;
  const run = async <Row>(statement: Statement, values: readonly unknown[]): Promise<Row[]> => {
    counters.statements += 1;
    counters.commits += 1;
    try {
      if (faults.armed) await passBefore(place, statement.name, !onlyReads(statement));
      const result = await pool.query({
        name: statement.name,
        text: statement.text,
        values: values.map(encoded),
      });
      if (faults.armed && !onlyReads(statement)) await passCommit(place, statement.name, "after");
      return result.rows as Row[];
    } catch (error) {
      throw asDatabaseError(error, name);
    }
  };
  return {
    name,
    place,
    pool,
    counters,
    onHookError: options.onHookError ?? ((error) => process.emitWarning(`after a commit: ${String(error)}`)),
    query<Row>(statement: Statement, values: readonly unknown[] = []) {
      const work = () => run<Row>(statement, values);
      return tracing.on ? inStatement(name, statement, work) : work();
    },
    close() {
      closing ??= pool.end();
      return closing;
    },
  };
}

const encoded = (value: unknown) => (Array.isArray(value) ? new ArrayParameter(value) : value);

const passBefore = (place: string, statement: string, writes: boolean) =>
  writes ? passCommit(place, statement, "before") : passRead(place, statement);

export interface TransactionOptions {
  /** Whole-transaction runs in all when PostgreSQL reports a serialization failure or a deadlock. */
  readonly attemptsMax?: number;
}

/**
 * Runs `work` in one transaction. Statements go out pipelined: `begin` travels with the first one, and
 * whatever was `send`-ed travels with `commit`. Serialization failures (40001) and deadlocks (40P01) run
 * `work` again, so it must have no effect outside the database.
 * @throws DatabaseUnavailableError no connection, nothing happened; safe to repeat
 * @throws CommitOutcomeUnknownError the connection broke during commit: re-read before you answer
 */
export async function withTransaction<Result>(
  database: Database,
  work: (tx: Tx) => Promise<Result>,
  options: TransactionOptions = {},
): Promise<Result> {
  const attemptsMax = options.attemptsMax ?? 5;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await (tracing.on ? runTraced(database, work, runOnce) : runOnce(database, work));
    } catch (error) {
      if (attempt >= attemptsMax || !isSerializationFailure(error)) throw error;
      database.counters.retries += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * attempt));
    }
  }
}

async function runOnce<Result>(database: Database, work: (tx: Tx) => Promise<Result>): Promise<Result> {
  const client = await database.pool.connect().catch((error: unknown) => {
    throw asDatabaseError(error, database.name);
  });
  const { counters } = database;
  const sent: Promise<unknown>[] = [];
  const hooks: (() => void)[] = [];
  // A transaction is named by its last statement.
  let last = "empty";
  let wrote = false;
  const run = (statement: Statement, values: readonly unknown[] = []) => {
    last = statement.name;
    if (faults.armed) wrote ||= !onlyReads(statement);
    counters.statements += 1;
    gather(client);
    return client.query({ name: statement.name, text: statement.text, values: values.map(encoded) });
  };
  const track = (running: Promise<unknown>) => {
    // Awaited at the end; this only keeps an early failure from counting as unhandled meanwhile.
    running.catch(() => undefined);
    sent.push(running);
  };
  const tx: Tx = {
    async query<Row>(statement: Statement, values?: readonly unknown[]) {
      const running = run(statement, values);
      track(running);
      return (await running).rows as Row[];
    },
    send: (statement, values) => track(run(statement, values)),
    afterCommit: (hook) => hooks.push(hook),
  };
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  client.on("error", onError);
  let outcomeOpen = false;
  try {
    gather(client);
    track(client.query("begin"));
    const result = await work(tx);
    // Nothing was committed by a connection that ended before it heard of COMMIT.
    if (broken) throw broken;
    if (faults.armed) await passBefore(database.place, last, wrote);
    const commit = client.query("commit");
    track(commit);
    outcomeOpen = true;
    for (const done of sent) await done;
    const outcome = await commit;
    // After a failed statement PostgreSQL answers COMMIT with ROLLBACK, without an error.
    if (outcome.command !== "COMMIT") throw new Error("the transaction was rolled back");
    counters.commits += 1;
    if (faults.armed && wrote) await passCommit(database.place, last, "after");
    runHooks(database, hooks);
    return result;
  } catch (error) {
    // An error that the server itself sent means that COMMIT did not happen; a silent connection means nothing.
    if (outcomeOpen && isConnectionError(error) && !(error instanceof pg.DatabaseError)) {
      broken ??= error as Error;
      throw new CommitOutcomeUnknownError(database.name, { cause: error });
    }
    // The next transaction gets a connection with nothing in flight: pg believes a statement prepared as soon as it
    // is sent, but PostgreSQL prepares none in a failed transaction.
    if (outcomeOpen) await Promise.allSettled(sent);
    else await client.query("rollback").catch((cause: Error) => onError(cause));
    counters.rollbacks += 1;
    throw asDatabaseError(error, database.name);
  } finally {
    client.off("error", onError);
    client.release(broken);
  }
}

/** The transaction has committed: a hook that throws must neither make it look failed nor silence the hooks after it. */
function runHooks(database: Database, hooks: readonly (() => void)[]): void {
  for (const hook of hooks) {
    try {
      hook();
    } catch (error) {
      database.onHookError(error);
    }
  }
}

/** What one tick sends leaves in one write: a system call for each statement was a sixth of the process' time. */
function gather(client: pg.PoolClient): void {
  const { stream } = (client as pg.PoolClient & { connection: { stream: Duplex } }).connection;
  stream.cork();
  process.nextTick(() => stream.uncork());
}
