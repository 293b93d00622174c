import { type Database, withTransaction } from "../../lib/database.ts";
import { isTransientDatabaseError } from "../../lib/database-errors.ts";
import { statement } from "../../lib/statement.ts";
import { run, useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";

/** Transactions and pools on a real PostgreSQL. */

const server = useServer();

const INSERT = statement("test_insert", "insert into notes (id, text) values ($1, $2) returning id");
const UPDATE = statement("test_update", "update notes set text = text || $2 where id = $1 returning text");
const READ = statement("test_read", "select text from notes where id = $1");
const SUM = statement("test_sum", "select count(*)::int as notes from notes");
const BROKEN = statement("test_broken", "select 1 / $1::int");
const SERIALIZABLE = statement("test_serializable", "set transaction isolation level serializable");
const PID = statement("test_pid", "select pg_backend_pid() as pid");
const SLEEP = statement("test_sleep", "select pg_sleep($1)");

async function setUp(options: Parameters<Awaited<ReturnType<typeof server.fresh>>["open"]>[0] = {}) {
  const { url, open } = await server.fresh("customer");
  await run(url, "create table notes (id int primary key, text text not null)");
  const notes = async () =>
    (await run<{ id: number }>(url, "select id from notes order by id")).map(({ id }) => id);
  return { url, notes, database: open(options) };
}

const insert = (database: Database, id: number) =>
  withTransaction(database, (tx) => tx.query(INSERT, [id, "x"]));

test("a transaction commits what it awaited and what it only sent, and gives back its result", async () => {
  const { database, notes } = await setUp();
  const result = await withTransaction(database, async (tx) => {
    tx.send(INSERT, [1, "sent"]);
    const [row] = await tx.query<{ id: number }>(INSERT, [2, "awaited"]);
    tx.send(INSERT, [3, "sent last"]);
    return row?.id;
  });
  expect(result).toBe(2);
  await expect(notes()).resolves.toEqual([1, 2, 3]);
});

test("work that throws is rolled back, and its connection serves the next", async () => {
  const { database, notes } = await setUp({ connectionsMax: 1 });
  const failing = withTransaction(database, async (tx) => {
    await tx.query(INSERT, [1, "x"]);
    throw new RangeError("no");
  });
  await expect(failing).rejects.toMatchObject({ message: "no" });
  await insert(database, 2);
  await expect(notes()).resolves.toEqual([2]);
});

test("a statement that fails while it is awaited rolls everything back", async () => {
  const { database, notes } = await setUp({ connectionsMax: 1 });
  const failing = withTransaction(database, async (tx) => {
    tx.send(INSERT, [1, "x"]);
    await tx.query(BROKEN, [0]);
  });
  await expect(failing).rejects.toMatchObject({ code: "22012" });
  await insert(database, 2);
  await expect(notes()).resolves.toEqual([2]);
});

test("a statement that fails after it was only sent rolls everything back and is told at commit", async () => {
  const { database, notes } = await setUp({ connectionsMax: 1 });
  const failing = withTransaction(database, async (tx) => {
    await tx.query(INSERT, [1, "x"]);
    tx.send(BROKEN, [0]);
    tx.send(INSERT, [2, "x"]);
    return "believed done";
  });
  await expect(failing).rejects.toMatchObject({ code: "22012" });
  await expect(notes()).resolves.toEqual([]);
});

test("work that swallows a failed statement is not told that it committed", async () => {
  const { database, notes } = await setUp();
  const failing = withTransaction(database, async (tx) => {
    await tx.query(INSERT, [1, "x"]);
    await tx.query(BROKEN, [0]).catch(() => undefined);
    return "believed done";
  });
  await expect(failing).rejects.toMatchObject({ code: "22012" });
  await expect(notes()).resolves.toEqual([]);
});

test("what a failed transaction still had in flight does not disturb the next one on its connection", async () => {
  const { database, notes } = await setUp({ connectionsMax: 1 });
  for (let round = 0; round < 20; round += 1) {
    const first = statement(`test_first_use_${round}`, `insert into notes values ($1, 'first use ${round}')`);
    const failing = withTransaction(database, async (tx) => {
      tx.send(BROKEN, [0]);
      tx.send(SLEEP, [0.001]);
      // In the failed transaction PostgreSQL does not even parse it.
      tx.send(first, [1_000 + round]);
    });
    await expect(failing).rejects.toMatchObject({ code: "22012" });
    await withTransaction(database, async (tx) => tx.send(first, [round]));
  }
  await expect(notes()).resolves.toEqual(Array.from({ length: 20 }, (_, round) => round));
});

test("hooks run after the commit, in their order, and never without one", async () => {
  const { database, notes } = await setUp();
  const seen: string[] = [];
  const visible: Promise<number[]>[] = [];
  await withTransaction(database, async (tx) => {
    tx.afterCommit(() => seen.push("first"));
    tx.afterCommit(() => visible.push(notes()));
    await tx.query(INSERT, [1, "x"]);
    expect(seen).toEqual([]);
    tx.afterCommit(() => seen.push("second"));
  });
  expect(seen).toEqual(["first", "second"]);
  await expect(Promise.all(visible)).resolves.toEqual([[1]]);
  const failing = withTransaction(database, async (tx) => {
    tx.afterCommit(() => seen.push("never"));
    tx.send(INSERT, [1, "a duplicate"]);
  });
  await expect(failing).rejects.toMatchObject({ code: "23505" });
  expect(seen).toEqual(["first", "second"]);
});

test("a hook that throws is told of: the transaction has committed, and the hooks after it run", async () => {
  const failures: unknown[] = [];
  const { database, notes } = await setUp({ onHookError: (error) => failures.push(error) });
  const seen: string[] = [];
  const work = withTransaction(database, async (tx) => {
    tx.afterCommit(() => {
      throw new Error("planted");
    });
    tx.afterCommit(() => seen.push("second"));
    tx.send(INSERT, [1, "x"]);
    return "done";
  });
  await expect(work).resolves.toBe("done");
  expect(failures).toEqual([expect.objectContaining({ message: "planted" })]);
  expect(seen).toEqual(["second"]);
  await expect(notes()).resolves.toEqual([1]);
  expect(database.counters).toMatchObject({ commits: 1, rollbacks: 0 });
});

test("a deadlock ends one of the two, and that one is run again", async () => {
  const { url, database } = await setUp();
  await run(url, "insert into notes values (1, ''), (2, '')");
  let holding = 0;
  const both = () => until("both hold a row", () => holding >= 2);
  const update = (first: number, second: number, mark: string) =>
    withTransaction(database, async (tx) => {
      await tx.query(UPDATE, [first, mark]);
      holding += 1;
      await both();
      await tx.query(UPDATE, [second, mark]);
    });
  await Promise.all([update(1, 2, "a"), update(2, 1, "b")]);
  const texts = await run<{ text: string }>(url, "select text from notes order by id");
  for (const { text } of texts) expect([...text].sort()).toEqual(["a", "b"]);
  expect(database.counters).toMatchObject({ commits: 2, retries: 1, rollbacks: 1 });
});

test("serialization failures are run again, hooks and all, until they go through", async () => {
  const { database } = await setUp();
  let told = 0;
  // Each its own key: of one key PostgreSQL may tell of the duplicate and not of the conflict.
  const addOne = (key: number) =>
    withTransaction(
      database,
      async (tx) => {
        tx.afterCommit(() => {
          told += 1;
        });
        await tx.query(SERIALIZABLE);
        await tx.query(SUM);
        await tx.query(INSERT, [key, "x"]);
      },
      { attemptsMax: 100 },
    );
  await Promise.all(Array.from({ length: 6 }, (_, key) => addOne(key)));
  await expect(database.query(SUM)).resolves.toEqual([{ notes: 6 }]);
  expect(told).toBe(6);
  expect(database.counters.retries).toBeGreaterThan(0);
});

test("a transaction that never goes through is given up after its tries", async () => {
  const { database } = await setUp();
  const conflict = statement("test_conflict", "do $$ begin raise exception using errcode = '40001'; end $$");
  let runs = 0;
  const failing = withTransaction(
    database,
    async (tx) => {
      runs += 1;
      tx.send(conflict);
    },
    { attemptsMax: 3 },
  );
  await expect(failing).rejects.toMatchObject({ code: "40001" });
  expect(runs).toBe(3);
  expect(database.counters).toMatchObject({ retries: 2, rollbacks: 3, commits: 0 });
});

test("a lock that is not to be had and a statement that takes too long are passing failures", async () => {
  const { url, database } = await setUp({ lockTimeoutMs: 100, statementTimeoutMs: 400 });
  await run(url, "insert into notes values (1, '')");
  await withTransaction(database, async (tx) => {
    await tx.query(UPDATE, [1, "held"]);
    const error = await withTransaction(database, (other) => other.query(UPDATE, [1, "x"])).catch(
      (one) => one,
    );
    expect(error).toMatchObject({ code: "55P03" });
    expect(isTransientDatabaseError(error)).toBe(true);
  });
  const late = await database.query(SLEEP, [5]).catch((one) => one);
  expect(late).toMatchObject({ code: "57014" });
  expect(isTransientDatabaseError(late)).toBe(true);
  const refused = await database.query(BROKEN, [0]).catch((one) => one);
  expect(isTransientDatabaseError(refused)).toBe(false);
});

test("a statement is prepared once under its name on each of many connections", async () => {
  const { database } = await setUp({ connectionsMax: 8 });
  const together = Array.from({ length: 200 }, (_, id) =>
    withTransaction(database, async (tx) => {
      tx.send(INSERT, [id, "x"]);
      return (await tx.query<{ text: string }>(READ, [id]))[0]?.text;
    }),
  );
  expect(new Set(await Promise.all(together))).toEqual(new Set(["x"]));
  const pids = await Promise.all(Array.from({ length: 50 }, () => database.query<{ pid: number }>(PID)));
  expect(new Set(pids.flat().map(({ pid }) => pid)).size).toBeGreaterThan(1);
});

test("it counts statements, commits and rollbacks", async () => {
  const { database } = await setUp();
  await insert(database, 1);
  await database.query(READ, [1]);
  await insert(database, 1).catch(() => undefined);
  expect(database.counters).toEqual({ statements: 3, commits: 2, rollbacks: 1, retries: 0 });
});

test("a bigint that JavaScript cannot hold is an error, never a wrong number", async () => {
  const { database } = await setUp({ connectionsMax: 1 });
  const huge = statement("test_bigint", "select $1::bigint as value");
  await expect(database.query(huge, ["9007199254740991"])).resolves.toEqual([{ value: 9007199254740991 }]);
  await expect(database.query(huge, ["9007199254740993"])).rejects.toThrow("beyond the safe integers");
  await expect(database.query(huge, ["1"])).resolves.toEqual([{ value: 1 }]);
});
