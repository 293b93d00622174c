import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServiceBroker } from "moleculer";
import { type QueryTypes, Sequelize } from "sequelize";
import { databaseUrl, loadConfig } from "../../lib/config.ts";
import { openDatabase } from "../../lib/database.ts";
import { defineService } from "../../lib/define.ts";
import { statement } from "../../lib/statement.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { startNats } from "../../scripts/parts/nats.ts";
import type { OwnPart } from "../../scripts/parts/part.ts";
import { type PostgresPart, startPostgres } from "../../scripts/parts/postgres.ts";
import { runScript } from "../support/demo-process.ts";
import { looking, makePapers, refusedBy, securePostgres } from "../support/secure-servers.ts";
import { stackDir } from "../support/system.ts";

/** Connections to servers that insist on TLS, and what is said where a certificate or a password does not hold. */

const papers = makePapers();
const { ca, strangers, ours, theirs } = papers;

describe("PostgreSQL", () => {
  const root = mkdtempSync(join(tmpdir(), "holdfast-tls-"));
  let part: PostgresPart;
  let port: number;
  const env = (given: NodeJS.ProcessEnv = {}, host = "localhost"): NodeJS.ProcessEnv => ({
    DATABASE_URL: `postgres://postgres@${host}:${port}/oms`,
    BUS_DATABASE_URL: `postgres://postgres@${host}:${port}/postgres`,
    CUSTOMER_DATABASE_URL: `postgres://postgres@${host}:${port}/postgres`,
    DATABASE_CA: ca,
    ...given,
  });
  const show = (options: { hosts: readonly string[]; hours?: number }, clientAuthority?: string) =>
    securePostgres(part, root, papers.authority.issue({ name: "postgres", ...options }), clientAuthority);

  beforeAll(async () => {
    mkdirSync(root, { recursive: true, mode: 0o755 });
    part = await startPostgres({ dataDir: root, port: "auto", settings: { fsync: "off" } });
    port = Number(new URL(part.url).port);
  }, 60_000);
  afterAll(async () => {
    await part?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  test.each(["localhost", "127.0.0.1"])("pools and read models of %s are encrypted", async (host) => {
    await show({ hosts: ["localhost", "127.0.0.1"] });
    await looking(env({}, host));
    const url = databaseUrl(loadConfig(env({}, host)), "customer");
    const isEncrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    const database = openDatabase({ url, name: "test" });
    expect(await database.query(statement("is_encrypted", isEncrypted))).toEqual([{ ssl: true }]);
    await database.close();
    const sequelize = new Sequelize(url, { dialect: "postgres", logging: false });
    expect(await sequelize.query(isEncrypted, { type: "SELECT" as QueryTypes.SELECT })).toEqual([
      { ssl: true },
    ]);
    await sequelize.close();
  });

  test("a wrong authority, a wrong name and an expired certificate are told by their setting", async () => {
    await show({ hosts: ["localhost"] });
    await expect(looking(env({ DATABASE_CA: strangers }))).rejects.toMatchObject(refusedBy("DATABASE_CA"));
    await expect(looking(env({}, "127.0.0.1"))).rejects.toMatchObject(refusedBy("DATABASE_URL"));
    await show({ hosts: ["localhost"], hours: -1 });
    await expect(looking(env())).rejects.toMatchObject({
      ...refusedBy("DATABASE_URL"),
      message: expect.stringContaining("has expired"),
    });
  });

  test("a client certificate is shown where it is asked for", async () => {
    await show({ hosts: ["localhost"] }, papers.authority.cert);
    await expect(looking(env())).rejects.toMatchObject(refusedBy("DATABASE_CERT"));
    await expect(
      looking(env({ DATABASE_CERT: theirs.cert, DATABASE_KEY: theirs.key })),
    ).rejects.toMatchObject(refusedBy("DATABASE_CERT"));
    await looking(env({ DATABASE_CERT: ours.cert, DATABASE_KEY: ours.key }));
  });

  test("a process that cannot trust its server ends with one line, and so does a migration", async () => {
    await show({ hosts: ["localhost"] });
    const given = env({
      DATABASE_CA: strangers,
      SERVICES: "customer",
      INTERNAL_PORT: "auto",
      LOG_LEVEL: "fatal",
    });
    for (const [script, ...rest] of [["serve.ts"], ["migrate.ts"]]) {
      const { code, output } = await runScript([script ?? "", ...rest], given);
      expect({ code, output }).toEqual({
        code: 2,
        output: expect.stringMatching(/^\w+: DATABASE_CA: [^\n]+\n$/),
      });
    }
  }, 60_000);
});

describe("NATS", () => {
  const CLUSTER_SECRETS = "a secret of the cluster that is long enough";
  const started: OwnPart[] = [];
  afterAll(() => Promise.all(started.map((part) => part.stop())));

  async function start(hosts: readonly string[], args: readonly string[] = [], hours = 24): Promise<string> {
    const { cert, key } = papers.issue({ name: "nats", hosts, hours });
    const part = await startNats({
      stackDir,
      port: "auto",
      args: ["--tls", "--tlscert", cert, "--tlskey", key, ...args],
    });
    started.push(part);
    return new URL(part.url).port;
  }
  const env = (url: string, given: NodeJS.ProcessEnv = {}) => ({
    TRANSPORTER: url,
    NATS_CA: ca,
    CLUSTER_SECRETS,
    ...given,
  });

  test("nodes call each other over TLS, with a password and a client certificate", async () => {
    const port = await start(
      ["localhost"],
      ["--user", "us", "--pass", "p@ss/word", "--tlsverify", "--tlscacert", ca],
    );
    const url = `tls://localhost:${port}`;
    const papersOfOurs = { NATS_CERT: ours.cert, NATS_KEY: ours.key };
    const password = papers.file("p@ss/word\n");
    const given = env(url, { ...papersOfOurs, NATS_USER: "us", NATS_PASSWORD_FILE: password });
    const brokers = ["asked", "asking"].map((NODE_ID) => {
      const options = brokerOptions(
        loadConfig({
          ...given,
          NODE_ID,
          INTERNAL_PORT: "auto",
          SERVICES: "customer",
          LOG_LEVEL: "fatal",
          DATABASE_URL: "postgres://127.0.0.1:1/oms",
        }),
      );
      return new ServiceBroker({ ...options, skipProcessEventRegistration: true });
    });
    const [asked, asking] = brokers;
    asked?.createService(
      defineService()({ name: "asked", actions: { it: { callers: ["order"], handler: () => "yes" } } }),
    );
    await Promise.all(brokers.map((broker) => broker.start()));
    try {
      await asking?.waitForServices("asked", 10_000, 20);
      await expect(asking?.call("asked.it", {}, { caller: "order" })).resolves.toBe("yes");
    } finally {
      await Promise.all(brokers.map((broker) => broker.stop()));
    }
    // In the address itself, as a URL has it.
    await looking(env(`tls://us:p%40ss%2Fword@localhost:${port}`, papersOfOurs));
    await expect(looking({ ...given, NATS_PASSWORD_FILE: papers.file("wrong") })).rejects.toMatchObject(
      refusedBy("NATS_USER"),
    );
    await expect(looking({ ...given, NATS_CERT: undefined, NATS_KEY: undefined })).rejects.toMatchObject(
      refusedBy("NATS_CERT"),
    );
    await expect(looking({ ...given, NATS_CA: strangers })).rejects.toMatchObject(refusedBy("NATS_CA"));
    await expect(looking({ ...given, TRANSPORTER: `tls://127.0.0.1:${port}` })).rejects.toMatchObject(
      refusedBy("TRANSPORTER"),
    );
  }, 60_000);

  test("a server named by its address shows a certificate for it", async () => {
    await looking(env(`tls://127.0.0.1:${await start(["127.0.0.1"])}`));
    await expect(looking(env(`tls://127.0.0.1:${await start(["localhost"])}`))).rejects.toMatchObject(
      refusedBy("TRANSPORTER"),
    );
  }, 60_000);

  test("a server without TLS is not taken for one that has it", async () => {
    const part = await startNats({ stackDir, port: "auto" });
    started.push(part);
    await expect(looking(env(part.url.replace("nats:", "tls:")))).rejects.toMatchObject({
      ...refusedBy("TRANSPORTER"),
      message: expect.stringContaining("does not speak TLS"),
    });
  });

  test("an expired certificate is told as that", async () => {
    const port = await start(["localhost"], [], -1);
    await expect(looking(env(`tls://localhost:${port}`))).rejects.toMatchObject({
      ...refusedBy("TRANSPORTER"),
      message: expect.stringContaining("has expired"),
    });
  }, 60_000);

  test("a token is another way in", async () => {
    const url = `tls://localhost:${await start(["localhost"], ["--auth", "a-token"])}`;
    await looking(env(url, { NATS_TOKEN: "a-token" }));
    await expect(looking(env(url, { NATS_TOKEN: "another" }))).rejects.toMatchObject(refusedBy("NATS_USER"));
  }, 60_000);
});
