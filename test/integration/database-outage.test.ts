import { connect, createServer, type Server, type Socket } from "node:net";
import { type Database, openDatabase, withTransaction } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import { run, useServer } from "../support/service-database.ts";
import { until } from "../support/until.ts";

/** What is told when the server or the line to it breaks, and that the pool outlives it. */

const server = useServer();

const INSERT = statement("outage_insert", "insert into notes values ($1) returning id");
const PID = statement("outage_pid", "select pg_backend_pid() as pid");
const PING = statement("outage_ping", "select 1 as one");

async function setUp() {
  const { url, open } = await server.fresh("customer");
  await run(url, "create table notes (id int primary key)");
  const notes = async () =>
    (await run<{ id: number }>(url, "select id from notes order by id")).map(({ id }) => id);
  return { url, open, notes };
}

/** Ends a backend, and waits until it is gone. */
async function terminate(url: string, pid: number | undefined): Promise<void> {
  await run(url, "select pg_terminate_backend($1)", [pid]);
  await until("the backend gone", async () => {
    const found = await run(url, "select 1 from pg_stat_activity where pid = $1", [pid]);
    return found.length === 0;
  });
}

/** A line to the server that can fall silent, in one direction or both, and break. */
interface Line {
  readonly url: string;
  /** Keeps back what the server answers. */
  muteServer(): void;
  /** Keeps back what we say. */
  muteClient(): void;
  cut(): void;
}

const lines: Server[] = [];
afterAll(() => {
  for (const line of lines) line.close();
});

async function openLine(url: string): Promise<Line> {
  const { hostname, port } = new URL(url);
  const muted = { server: false, client: false };
  const sockets: Socket[] = [];
  const line = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    sockets.push(client, upstream);
    client.on("data", (data) => muted.client || upstream.write(data));
    upstream.on("data", (data) => muted.server || client.write(data));
    for (const socket of [client, upstream]) {
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.forEach((one) => void one.destroy()));
    }
  });
  lines.push(line);
  await new Promise<void>((resolve) => line.listen(0, "127.0.0.1", resolve));
  const address = line.address();
  if (address === null || typeof address === "string") throw new Error("the line has no port");
  return {
    url: url.replace(port, String(address.port)),
    muteServer: () => {
      muted.server = true;
    },
    muteClient: () => {
      muted.client = true;
    },
    cut: () => sockets.forEach((socket) => void socket.destroy()),
  };
}

const unavailable = { type: "DATABASE_UNAVAILABLE", code: 503, retryable: true };

test("a connection that ends between two statements: nothing happened, and the pool opens another", async () => {
  const { url, open, notes } = await setUp();
  const database = open({ connectionsMax: 1 });
  const failing = withTransaction(database, async (tx) => {
    await tx.query(INSERT, [1]);
    const [row] = await tx.query<{ pid: number }>(PID);
    await terminate(url, row?.pid);
    await tx.query(INSERT, [2]);
  });
  await expect(failing).rejects.toMatchObject({ ...unavailable, cause: expect.anything() });
  await expect(notes()).resolves.toEqual([]);
  await withTransaction(database, (tx) => tx.query(INSERT, [3]));
  await expect(notes()).resolves.toEqual([3]);
});

test("a connection that ended before COMMIT was sent: nothing happened", async () => {
  const { url, open, notes } = await setUp();
  const database = open({ connectionsMax: 1 });
  const failing = withTransaction(database, async (tx) => {
    const [row] = await tx.query<{ pid: number }>(PID);
    await tx.query(INSERT, [1]);
    await terminate(url, row?.pid);
  });
  await expect(failing).rejects.toMatchObject(unavailable);
  await expect(notes()).resolves.toEqual([]);
  await expect(database.query(PING)).resolves.toEqual([{ one: 1 }]);
});

test("a server that ends the connection within COMMIT says so: nothing happened", async () => {
  const { url, open, notes } = await setUp();
  // A deferred trigger makes COMMIT itself take long.
  await run(
    url,
    "create function dawdle() returns trigger language plpgsql as 'begin perform pg_sleep(30); return new; end'",
  );
  await run(
    url,
    "create constraint trigger late after insert on notes deferrable initially deferred for each row execute function dawdle()",
  );
  const database = open({ connectionsMax: 1, statementTimeoutMs: 60_000 });
  let pid: number | undefined;
  const failing = withTransaction(database, async (tx) => {
    [pid] = (await tx.query<{ pid: number }>(PID)).map((row) => row.pid);
    await tx.query(INSERT, [1]);
  });
  failing.catch(() => undefined);
  await until("COMMIT under way", async () => {
    const found = await run(url, "select 1 from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'", [
      pid,
    ]);
    return found.length === 1;
  });
  await terminate(url, pid);
  await expect(failing).rejects.toMatchObject(unavailable);
  await expect(notes()).resolves.toEqual([]);
});

const pools: Database[] = [];
afterAll(() => Promise.allSettled(pools.map((pool) => pool.close())));
function openThrough(line: Line): Database {
  const database = openDatabase({ url: line.url, name: "test line", connectionsMax: 1 });
  pools.push(database);
  return database;
}

test("a line that breaks after COMMIT was sent: the outcome is unknown, and here it happened", async () => {
  const { url, notes } = await setUp();
  const line = await openLine(url);
  let told = false;
  const failing = withTransaction(openThrough(line), async (tx) => {
    await tx.query(INSERT, [1]);
    tx.afterCommit(() => {
      told = true;
    });
    line.muteServer();
  });
  failing.catch(() => undefined);
  await until("the commit", async () => (await notes()).length === 1);
  line.cut();
  await expect(failing).rejects.toMatchObject({ type: "COMMIT_OUTCOME_UNKNOWN", code: 503, retryable: true });
  expect(told).toBe(false);
});

test("a line that breaks before the server hears of COMMIT: the outcome is as unknown, and here it did not happen", async () => {
  const { url, notes } = await setUp();
  const line = await openLine(url);
  const failing = withTransaction(openThrough(line), async (tx) => {
    await tx.query(INSERT, [1]);
    line.muteClient();
    setImmediate(line.cut);
  });
  await expect(failing).rejects.toMatchObject({ type: "COMMIT_OUTCOME_UNKNOWN" });
  await expect(notes()).resolves.toEqual([]);
});

test("a server that is not there is unavailable, for a statement and for a transaction", async () => {
  const line = await openLine((await setUp()).url);
  const gone = openDatabase({ url: "postgres://postgres@127.0.0.1:1/none", name: "gone" });
  pools.push(gone);
  await expect(gone.query(PING)).rejects.toMatchObject(unavailable);
  await expect(withTransaction(gone, (tx) => tx.query(PING))).rejects.toMatchObject(unavailable);
  // Broken in the middle of a statement of its own.
  const database = openThrough(line);
  await database.query(PING);
  line.muteServer();
  const failing = database.query(PING);
  failing.catch(() => undefined);
  setImmediate(line.cut);
  await expect(failing).rejects.toMatchObject(unavailable);
});

test("the pool survives a restart of the server, and its being killed", async () => {
  const { open, notes } = await setUp();
  const database = open({ connectionsMax: 4 });
  const hold = () => withTransaction(database, (tx) => tx.query(PING));
  await Promise.all([hold(), hold(), hold(), hold()]);
  expect(database.pool.idleCount).toBe(4);
  await server.part().restart();
  await Promise.all([1, 2, 3, 4].map((id) => withTransaction(database, (tx) => tx.query(INSERT, [id]))));
  await server.part().kill("SIGKILL");
  // Sessions outlive their postmaster for a moment.
  const outage = await until("the outage", () =>
    database.query(PING).then(
      () => false,
      (error) => error,
    ),
  );
  expect(outage).toMatchObject(unavailable);
  await expect(hold()).rejects.toMatchObject(unavailable);
  await server.part().restart();
  await expect(Promise.all([hold(), hold(), hold(), hold()])).resolves.toHaveLength(4);
  await expect(notes()).resolves.toEqual([1, 2, 3, 4]);
});
