import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { importJWK, SignJWT } from "jose";
import pg from "pg";
import { loadConfig } from "../lib/config.ts";
import { prepareKeys } from "../scripts/demo/tokens.ts";
import type { ApiTarget, FloorTarget } from "./load/protocol.ts";
import type { System } from "./system.ts";

const COUNT = 1_000;
export const UNITS = 1_000_000_000;
const TOKENS = 100;

const idOf = (kind: "c" | "a", index: number) =>
  `01990000-0000-7000-8${kind}00-${String(index + 1).padStart(12, "0")}`;
export const customerIds = Array.from({ length: COUNT }, (_, index) => idOf("c", index));
export const productIds = Array.from({ length: COUNT }, (_, index) => idOf("a", index));

const INSERT_CUSTOMERS = `
  insert into customers (id, name, email, status)
  select id, 'Bench ' || number, 'bench' || number || '@example.com', 'active'
  from unnest($1::uuid[]) with ordinality as t(id, number)
  on conflict do nothing`;

const INSERT_PRODUCTS = `
  with added as (
    insert into products (id, sku, name, price_minor, currency, available)
    select id, 'BENCH-' || number, 'Bench product ' || number, 100, 'EUR', $2::bigint
    from unnest($1::uuid[]) with ordinality as t(id, number)
    on conflict do nothing
    returning id, available
  )
  insert into stock_adjustments (id, product_id, delta, reason, actor)
  select gen_random_uuid(), id, available, 'initial stock', 'bench' from added`;

/** Puts customers and products into the running system; answers what a load process needs to order them. */
export async function prepareApi(system: System): Promise<ApiTarget> {
  await fillCatalogue(system.demo.databases);
  return apiTarget(system.apis, system.dataDir);
}

export async function fillCatalogue(
  databases: Readonly<Record<"customer" | "product", string>>,
): Promise<void> {
  await inDatabase(databases.customer, (client) => client.query(INSERT_CUSTOMERS, [customerIds]));
  await inDatabase(databases.product, (client) => client.query(INSERT_PRODUCTS, [productIds, UNITS]));
  await inDatabase(databases.product, (client) => client.query("vacuum analyze products"));
}

export async function apiTarget(urls: readonly string[], dataDir: string): Promise<ApiTarget> {
  const tokens = await issueTokens(dataDir, customerIds.slice(0, TOKENS));
  return { kind: "api", urls, tokens, productIds };
}

/** With the key that the demo made for itself. */
async function issueTokens(dataDir: string, subjects: readonly string[]): Promise<string[]> {
  const { privateKey } = await prepareKeys(dataDir);
  const { JWT_ISSUER, JWT_AUDIENCE } = loadConfig({});
  const key = await importJWK(privateKey, "EdDSA");
  return Promise.all(
    subjects.map((subject) =>
      new SignJWT({ roles: ["customer"] })
        .setProtectedHeader({ alg: "EdDSA", kid: privateKey.kid, typ: "JWT" })
        .setSubject(subject)
        .setIssuer(JWT_ISSUER)
        .setAudience(JWT_AUDIENCE)
        .setJti(randomUUID())
        .setIssuedAt()
        .setExpirationTime("24h")
        .sign(key),
    ),
  );
}

const FLOOR_DATABASE = "bench_floor";

/** The floor writes the same tables as the services, made by the same migrations, all in one database. */
export async function prepareFloor(system: Pick<System, "urlOf">): Promise<FloorTarget> {
  await inDatabase(system.urlOf("postgres"), (client) => client.query(`create database ${FLOOR_DATABASE}`));
  const url = system.urlOf(FLOOR_DATABASE);
  await inDatabase(url, async (client) => {
    await client.query("create schema bench; set search_path = bench");
    for (const service of ["common", "customer", "product", "order"]) {
      for (const text of migrationsOf(service)) await client.query(text);
    }
    await client.query(INSERT_CUSTOMERS, [customerIds]);
    await client.query(INSERT_PRODUCTS, [productIds, UNITS]);
    await client.query("vacuum analyze products");
  });
  return { kind: "floor", url, customerIds, productIds };
}

function migrationsOf(service: string): string[] {
  const folder = fileURLToPath(new URL(`../migrations/${service}/`, import.meta.url));
  const files = readdirSync(folder).filter((name) => name.endsWith(".up.sql"));
  return files.sort().map((name) => readFileSync(`${folder}${name}`, "utf8"));
}

export async function inDatabase<Result>(
  url: string,
  use: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url, application_name: "holdfast-bench" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
