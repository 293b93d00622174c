import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { migrate, migrationStatus } from "../../migrations/run.ts";
import { createDatabases, type PostgresPart, startPostgres } from "../../scripts/parts/postgres.ts";

/** Migrations on a real PostgreSQL, each test with a database and migration folders of its own. */
let postgres: PostgresPart;
const root = mkdtempSync(join(tmpdir(), "holdfast-migrations-"));

beforeAll(async () => {
  postgres = await startPostgres({ dataDir: join(root, "postgres"), port: "auto" });
});

afterAll(async () => {
  await postgres?.stop();
  rmSync(root, { recursive: true, force: true });
});

type Files = Record<string, string>;

const colours = {
  "common/0001_colours.up.sql":
    "create table colours (name text primary key); insert into colours values ('red');",
  "common/0001_colours.down.sql": "drop table colours;",
  "shop/0001_paint.up.sql": "create table paint (colour text references colours);",
  "shop/0001_paint.down.sql": "drop table paint;",
  "shop/0002_price.up.sql": "alter table paint add column price bigint;",
  "shop/0002_price.down.sql": "alter table paint drop column price;",
};

function write(folder: string, files: Files): readonly string[] {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return ["common", "shop"].map((one) => join(folder, one));
}

async function setUp(files: Files = colours) {
  const name = `m_${randomUUID().replaceAll("-", "")}`;
  await createDatabases(postgres.adminUrl, [name]);
  const folder = join(root, name);
  return { url: postgres.urlOf(name), folders: write(folder, files), folder };
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const tables = (url: string) =>
  query(url, "select tablename as name from pg_tables where schemaname = 'public' order by 1").then((rows) =>
    rows.map((row) => row.name),
  );

test("applies the folders in their order, and a second run finds nothing to do", async () => {
  const database = await setUp();
  await expect(migrate(database)).resolves.toEqual([
    "common/0001_colours",
    "shop/0001_paint",
    "shop/0002_price",
  ]);
  await expect(migrate(database)).resolves.toEqual([]);
  await expect(query(database.url, "select price from paint")).resolves.toEqual([]);
});

test("twenty replicas that start at once apply each migration once", async () => {
  const database = await setUp();
  const done = await Promise.all(Array.from({ length: 20 }, () => migrate(database)));
  expect(done.flat().sort()).toEqual(["common/0001_colours", "shop/0001_paint", "shop/0002_price"]);
  await expect(query(database.url, "select name from colours")).resolves.toEqual([{ name: "red" }]);
});

test("goes down one migration, all the way down, and up again", async () => {
  const database = await setUp();
  await migrate(database);
  await expect(migrate({ ...database, direction: "down" })).resolves.toEqual(["shop/0002_price"]);
  await expect(migrate({ ...database, direction: "down", steps: "all" })).resolves.toEqual([
    "shop/0001_paint",
    "common/0001_colours",
  ]);
  await expect(tables(database.url)).resolves.toEqual(["schema_migrations"]);
  await expect(migrate(database)).resolves.toHaveLength(3);
});

test("refuses a database that knows a migration which this code does not", async () => {
  const database = await setUp();
  await migrate(database);
  rmSync(join(database.folder, "shop/0002_price.up.sql"));
  const refusal = { type: "DATABASE_NEWER", message: expect.stringContaining("shop/0002_price") };
  await expect(migrate(database)).rejects.toMatchObject(refusal);
  await expect(migrate({ ...database, direction: "down" })).rejects.toMatchObject(refusal);
  await expect(migrationStatus(database)).rejects.toMatchObject(refusal);
});

test("refuses a migration that was edited after it was applied", async () => {
  const database = await setUp();
  await migrate(database);
  write(database.folder, { "shop/0001_paint.up.sql": "create table paint (colour text, gloss boolean);" });
  await expect(migrate(database)).rejects.toMatchObject({
    type: "MIGRATION_CHANGED",
    message: expect.stringContaining("shop/0001_paint"),
  });
});

test("a broken migration names itself, leaves nothing half-done, and can be mended and run again", async () => {
  const database = await setUp({
    ...colours,
    "shop/0002_price.up.sql": "create table half_done (); alter table paint add column price no_such_type;",
    "shop/0003_later.up.sql": "create table later ();",
  });
  await expect(migrate(database)).rejects.toMatchObject({
    type: "MIGRATION_FAILED",
    migration: "shop/0002_price",
    message: expect.stringContaining('type "no_such_type" does not exist'),
    cause: expect.objectContaining({ code: "42704" }),
  });
  await expect(tables(database.url)).resolves.toEqual(["colours", "paint", "schema_migrations"]);
  await expect(migrationStatus(database)).resolves.toEqual({
    applied: ["common/0001_colours", "shop/0001_paint"],
    pending: ["shop/0002_price", "shop/0003_later"],
  });
  write(database.folder, { "shop/0002_price.up.sql": colours["shop/0002_price.up.sql"] });
  await expect(migrate(database)).resolves.toEqual(["shop/0002_price", "shop/0003_later"]);
});

test("a way back that is missing or broken names its migration and changes nothing", async () => {
  const database = await setUp();
  await migrate(database);
  rmSync(join(database.folder, "shop/0002_price.down.sql"));
  await expect(migrate({ ...database, direction: "down" })).rejects.toMatchObject({
    type: "MIGRATION_FAILED",
    migration: "shop/0002_price",
  });
  await expect(migrationStatus(database)).resolves.toMatchObject({ pending: [] });
});

test("the state of an untouched database is that everything is pending", async () => {
  const database = await setUp();
  await expect(migrationStatus(database)).resolves.toMatchObject({ applied: [], pending: expect.any(Array) });
  await expect(tables(database.url)).resolves.toEqual([]);
});
