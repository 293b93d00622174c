/**
 * The parts that npm start, npm run stack and all other tests rely on: they start on a clean machine, keep their
 * data, and whatever way a process ends, nothing of it hinders the next one. All by real processes and real signals.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { type Admin, Kafka, logLevel } from "kafkajs";
import { connect as connectNats } from "nats";
import pg from "pg";
import { readClaim } from "../../scripts/parts/claim.ts";
import { startKafka } from "../../scripts/parts/kafka.ts";
import { startNats } from "../../scripts/parts/nats.ts";
import { type Part, PartInUseError, PartUnavailableError } from "../../scripts/parts/part.ts";
import { freePort, PortTakenError } from "../../scripts/parts/ports.ts";
import { createDatabases, startPostgres } from "../../scripts/parts/postgres.ts";
import { exists, nodeProgram, waitFor } from "../../scripts/parts/process.ts";
import { provision } from "../../scripts/parts/provision.ts";

const root = join(__dirname, "..", "..");
const stackDir = join(root, ".stack");
const waitMs = 20_000;

/** Straight to the terminal: a download may take minutes, and jest shows console output at the end. */
const progress = (line: string): boolean => process.stderr.write(`${line}\n`);

let folder = "";
const opened: Part[] = [];
const children: ChildProcess[] = [];
/** Servers of other processes, whose watchdogs stop them. */
const others: number[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-parts-"));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await Promise.all(opened.splice(0).map((part) => part.stop()));
  expect(await waitFor(() => !others.some((pid) => exists(pid)), waitMs)).toBe(true);
  others.length = 0;
  rmSync(folder, { recursive: true, force: true });
});

function keep<P extends Part>(part: P): P {
  opened.push(part);
  return part;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Another process that starts PostgreSQL on the data folder and then waits to be killed. */
async function startInOtherProcess(
  dataDir: string,
  ownedBy = "process",
): Promise<{ owner: number; pid: number }> {
  const url = pathToFileURL(join(root, "scripts", "parts", "postgres.ts")).href;
  const script = `
    const { startPostgres } = await import(${JSON.stringify(url)});
    const part = await startPostgres(${JSON.stringify({ dataDir, port: "auto", ownedBy })});
    console.log(part.pid);
    setInterval(() => undefined, 1000);`;
  const child = spawn(nodeProgram(), ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    others.push(Number(line));
    return { owner: child.pid ?? 0, pid: Number(line) };
  }
  throw new Error("the other process ended before PostgreSQL was up");
}

async function gone(pid: number): Promise<boolean> {
  return waitFor(() => !exists(pid), waitMs);
}

function occupy(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

/** Undefined, and said aloud, where this machine lacks what the part needs; in CI that is a failure. */
async function whereAvailable<P extends Part>(start: () => Promise<P>): Promise<P | undefined> {
  try {
    return keep(await start());
  } catch (error) {
    if (!(error instanceof PartUnavailableError) || process.env.CI) throw error;
    console.warn(`SKIPPED: ${expect.getState().currentTestName}: ${error.message}`);
    return undefined;
  }
}

describe("PostgreSQL", () => {
  const start = async (more: { dataDir?: string; port?: number; fresh?: boolean } = {}) =>
    keep(await startPostgres({ dataDir: join(folder, "pg"), port: "auto", ...more }));

  it("starts on an empty folder and keeps its data over restart, stop and start", async () => {
    const first = await start();
    await createDatabases(first.adminUrl, ["shop"]);
    await query(first.urlOf("shop"), "create table note as select 'kept' as text");
    const pid = first.pid;
    await first.restart();
    expect(first.pid).not.toBe(pid);
    expect(await query(first.urlOf("shop"), "select text from note")).toEqual([{ text: "kept" }]);
    await first.stop();
    await first.stop();
    const second = await start();
    expect(await query(second.urlOf("shop"), "select text from note")).toEqual([{ text: "kept" }]);
  });

  it("runs fully durable, on 127.0.0.1 only, with the settings it was given", async () => {
    const part = keep(
      await startPostgres({ dataDir: join(folder, "pg"), port: "auto", settings: { work_mem: "7MB" } }),
    );
    const names = ["fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "jit", "work_mem"];
    const columns = names.map((name) => `current_setting('${name}') as ${name}`).join(", ");
    const [row] = await query(part.adminUrl, `select ${columns}`);
    const durable = { fsync: "on", synchronous_commit: "on", full_page_writes: "on" };
    expect(row).toEqual({ ...durable, listen_addresses: "127.0.0.1", jit: "off", work_mem: "7MB" });
  });

  it("comes back with all that was committed after kill -9 of the postmaster", async () => {
    const part = await start();
    await query(part.adminUrl, "create table note as select 'kept' as text");
    await part.kill("SIGKILL");
    await part.restart();
    expect(await query(part.adminUrl, "select text from note")).toEqual([{ text: "kept" }]);
  });

  it("waits for a session that outlives the killed postmaster: two servers on one folder would ruin it", async () => {
    const part = await start();
    const client = new pg.Client({ connectionString: part.adminUrl });
    client.on("error", () => undefined);
    await client.connect();
    const session: number = (await client.query("select pg_backend_pid() as pid")).rows[0].pid;
    process.kill(session, "SIGSTOP");
    try {
      await part.kill("SIGKILL");
      const restarted = part.restart();
      const log = () => readFileSync(join(folder, "pg", "postgres.log"), "utf8");
      expect(await waitFor(() => log().includes("pre-existing shared memory block"), waitMs)).toBe(true);
      process.kill(session, "SIGCONT");
      await restarted;
    } finally {
      if (exists(session)) process.kill(session, "SIGCONT");
      await client.end();
    }
    expect(await query(part.adminUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("starts over a lock file whose process id now belongs to another program", async () => {
    const first = await start();
    await first.kill("SIGKILL");
    const stranger = spawn(nodeProgram(), ["-e", "setInterval(() => undefined, 1000)"]);
    children.push(stranger);
    const lock = join(folder, "pg", "cluster", "postmaster.pid");
    const lines = readFileSync(lock, "utf8").split("\n");
    writeFileSync(lock, [stranger.pid, ...lines.slice(1)].join("\n"));
    const second = await start();
    expect(await query(second.adminUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("starts over what a killed initdb and a killed start left behind", async () => {
    const left = join(folder, "pg", "cluster.new-999999999-1");
    mkdirSync(left, { recursive: true });
    writeFileSync(join(left, "PG_VERSION"), "");
    writeFileSync(join(folder, "pg", "claim.json"), '{"pid":');
    const part = await start();
    expect(existsSync(left)).toBe(false);
    expect(await query(part.adminUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("is shared by a second start on the same folder, whose stop() leaves it to its owner", async () => {
    const first = await start();
    const second = await start();
    expect({ pid: second.pid, url: second.url }).toEqual({ pid: first.pid, url: first.url });
    await second.stop();
    expect(await query(first.adminUrl, "select 1 as one")).toEqual([{ one: 1 }]);
    await expect(start({ fresh: true })).rejects.toBeInstanceOf(PartInUseError);
    await expect(second.restart()).rejects.toBeInstanceOf(PartInUseError);
  });

  it("is started once when several processes start it at the same time", async () => {
    const started = await Promise.all([1, 2, 3].map(() => startInOtherProcess(join(folder, "pg"))));
    expect(new Set(started.map((other) => other.pid)).size).toBe(1);
  });

  it("deletes the data of an earlier start when asked for a fresh one", async () => {
    const first = await start();
    await createDatabases(first.adminUrl, ["shop"]);
    await first.stop();
    const second = await start({ fresh: true });
    expect(await query(second.adminUrl, "select 1 from pg_database where datname = 'shop'")).toEqual([]);
  });

  it("names the setting, the port and the way out when the port is taken", async () => {
    const port = await freePort();
    const server = await occupy(port);
    try {
      const failure = await start({ port }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(PortTakenError);
      expect(failure).toMatchObject({
        message: `PG_PORT: port ${port} is taken by another process; set PG_PORT to another port or to 'auto'`,
      });
    } finally {
      server.close();
    }
    expect(existsSync(join(folder, "pg", "claim.json"))).toBe(false);
    expect((await start({ port })).url).toContain(`:${port}`);
  });

  it("is stopped cleanly when its owner is killed with -9", async () => {
    const dataDir = join(folder, "pg");
    const other = await startInOtherProcess(dataDir);
    process.kill(other.owner, "SIGKILL");
    expect(await gone(other.pid)).toBe(true);
    expect(readFileSync(join(dataDir, "postgres.log"), "utf8")).toContain("received fast shutdown request");
    const mine = await start();
    expect(await query(mine.adminUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("is not taken over while the dead owner's watchdog is about to stop it, but started after that", async () => {
    const dataDir = join(folder, "pg");
    const other = await startInOtherProcess(dataDir);
    const watchdog = readClaim(join(dataDir, "claim.json"))?.watchdog ?? 0;
    process.kill(watchdog, "SIGSTOP");
    process.kill(other.owner, "SIGKILL");
    expect(await gone(other.owner)).toBe(true);
    const mine = start();
    const first = await Promise.race([
      mine.then(() => "started"),
      waitFor(() => false, 300).then(() => "waits"),
    ]);
    process.kill(watchdog, "SIGCONT");
    expect(first).toBe("waits");
    expect((await mine).pid).not.toBe(other.pid);
    expect(await query((await mine).adminUrl, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  it("is taken over when its owner and the watchdog were killed together", async () => {
    const dataDir = join(folder, "pg");
    const other = await startInOtherProcess(dataDir);
    const watchdog = readClaim(join(dataDir, "claim.json"))?.watchdog ?? 0;
    process.kill(watchdog, "SIGKILL");
    expect(await gone(watchdog)).toBe(true);
    process.kill(other.owner, "SIGKILL");
    expect(await gone(other.owner)).toBe(true);
    const mine = await start();
    expect(mine.pid).toBe(other.pid);
    await mine.stop();
    expect(exists(other.pid)).toBe(false);
  });

  it("outlives its starter when it belongs to nobody, until somebody stops it", async () => {
    const other = await startInOtherProcess(join(folder, "pg"), "none");
    process.kill(other.owner, "SIGKILL");
    expect(await gone(other.owner)).toBe(true);
    const mine = await start();
    expect(mine.pid).toBe(other.pid);
    await mine.stop();
    expect(exists(other.pid)).toBe(false);
  });

  it("creates databases once, however many ask for them at the same time", async () => {
    const { adminUrl } = await start();
    const names = ["oms_order", 'odd "name"'];
    await Promise.all([1, 2, 3].map(() => createDatabases(adminUrl, names)));
    await createDatabases(adminUrl, names);
    const rows = await query(
      adminUrl,
      "select datname from pg_database where datname like 'o%' order by datname",
    );
    expect(rows).toEqual([{ datname: 'odd "name"' }, { datname: "oms_order" }]);
  });
});

describe("NATS", () => {
  it("answers on its port, and again after stop and restart", async () => {
    const part = await whereAvailable(() => startNats({ stackDir, dataDir: folder, port: "auto", progress }));
    if (part === undefined) return;
    const roundTrip = async (): Promise<number> => {
      const client = await connectNats({ servers: part.url });
      const ms = await client.rtt();
      await client.close();
      return ms;
    };
    expect(await roundTrip()).toBeGreaterThanOrEqual(0);
    await part.stop();
    expect(exists(part.pid)).toBe(false);
    await expect(connectNats({ servers: part.url, reconnect: false })).rejects.toThrow();
    await part.restart();
    expect(await roundTrip()).toBeGreaterThanOrEqual(0);
  }, 700_000);
});

describe("Kafka", () => {
  it("keeps topics and port over stop, restart and kill -9", async () => {
    const start = () => startKafka({ stackDir, dataDir: join(folder, "kafka"), port: "auto", progress });
    const part = await whereAvailable(start);
    if (part === undefined) return;
    // Few retries: a broker that is down is to be seen at once. A client of its own for each question: kafkajs keeps
    // a broken connection for a while.
    const ask = async <Answer>(question: (admin: Admin) => Promise<Answer>): Promise<Answer> => {
      const admin = new Kafka({
        brokers: [part.url],
        logLevel: logLevel.NOTHING,
        retry: { retries: 1 },
      }).admin();
      await admin.connect();
      return question(admin).finally(() => admin.disconnect());
    };
    await ask((admin) => admin.createTopics({ topics: [{ topic: "orders", numPartitions: 3 }] }));
    await part.stop();
    await expect(ask((admin) => admin.listTopics())).rejects.toThrow();
    await part.restart();
    expect(await ask((admin) => admin.listTopics())).toEqual(["orders"]);
    await part.kill("SIGKILL");
    await part.restart();
    expect(await ask((admin) => admin.listTopics())).toEqual(["orders"]);
  }, 700_000);

  it("says what is missing where there is no Java", async () => {
    const { PATH, JAVA_HOME } = process.env;
    process.env.PATH = folder;
    delete process.env.JAVA_HOME;
    try {
      const failure = await startKafka({ stackDir, dataDir: folder, port: "auto" }).catch(
        (error: unknown) => error,
      );
      expect(failure).toBeInstanceOf(PartUnavailableError);
      expect(failure).toMatchObject({ message: "kafka: needs Java 17 or newer (java not found on PATH)" });
    } finally {
      process.env.PATH = PATH;
      if (JAVA_HOME !== undefined) process.env.JAVA_HOME = JAVA_HOME;
    }
  });
});

describe("provision", () => {
  it("takes what the environment names as it is", async () => {
    const env = {
      DATABASE_URL: "postgres://me:secret@db.example:5432/oms?sslmode=require",
      TRANSPORTER: "nats://nats.example:4222",
      KAFKA_BROKERS: "k1.example:9092,k2.example:9092",
    };
    const parts = await provision({ need: ["postgres", "nats", "kafka"], dataDir: folder, stackDir, env });
    expect(parts.postgres).toMatchObject({ pid: 0, url: env.DATABASE_URL });
    expect(parts.postgres?.adminUrl).toBe("postgres://me:secret@db.example:5432/postgres?sslmode=require");
    expect(parts.nats).toMatchObject({ pid: 0, url: env.TRANSPORTER });
    expect(parts.kafka).toMatchObject({ pid: 0, url: env.KAFKA_BROKERS });
    await parts.stop();
  });

  it("starts only what is needed, and stops it", async () => {
    const parts = await provision({ need: ["postgres"], dataDir: folder, stackDir, env: {} });
    expect([parts.nats, parts.kafka]).toEqual([undefined, undefined]);
    const pid = parts.postgres?.pid ?? 0;
    expect(exists(pid)).toBe(true);
    await parts.stop();
    expect(exists(pid)).toBe(false);
  });

  it("stops the others when one part does not start", async () => {
    const port = await freePort();
    const server = await occupy(port);
    const lines: string[] = [];
    try {
      const started = provision({
        need: ["postgres", "nats"],
        dataDir: folder,
        stackDir,
        ports: { nats: port },
        env: {},
        progress: (line) => lines.push(line),
      });
      await expect(started).rejects.toThrow();
    } finally {
      server.close();
    }
    expect(readClaim(join(folder, "postgres", "claim.json"))).toBeUndefined();
    expect(existsSync(join(folder, "postgres", "cluster", "postmaster.pid"))).toBe(false);
  });
});
