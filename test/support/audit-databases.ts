import { type Config, loadConfig } from "../../lib/config.ts";
import { SCENE_DATABASES, type SceneDatabase, type Tables } from "./audit-tables.ts";
import { run, type TestServer } from "./service-database.ts";

/** Made by hand: the audit reads these columns, whatever else the services' own migrations may add. */
const TABLES_BY_HAND: Partial<Record<SceneDatabase, string>> = {
  payment: `
    drop table if exists payment_attempts, ledger_entries, refunds, payments cascade;
    create table payments (
      id uuid primary key, order_id uuid not null, customer_id uuid not null, gid uuid, status text not null,
      amount_minor bigint not null, captured_minor bigint not null default 0, refunded_minor bigint not null default 0,
      currency char(3) not null, created_at timestamptz not null default now(), updated_at timestamptz not null default now());
    create table refunds (id uuid primary key, payment_id uuid not null, amount_minor bigint not null, status text not null);
    create table ledger_entries (
      id bigint generated always as identity primary key, payment_id uuid not null, refund_id uuid, account text not null,
      direction text not null, amount_minor bigint not null, currency char(3) not null);
    create table payment_attempts (
      id uuid primary key, payment_id uuid not null, operation text not null, status text not null,
      amount_minor bigint not null, created_at timestamptz not null default now(), finished_at timestamptz)`,
  saga: `
    drop table if exists tcc_transactions cascade;
    create table tcc_transactions (
      id uuid primary key, tcc_type text not null, state text not null, expires_at timestamptz not null,
      wake_at timestamptz, business_key uuid not null, created_at timestamptz not null default now())`,
};

type Urls = Readonly<Record<SceneDatabase, string>>;
export type Statements = Partial<Readonly<Record<SceneDatabase, string>>>;

export interface SceneDatabases {
  /** A system in which these statements were carried out; databases without any are shared and only read. */
  with(statements: Statements): Promise<Urls>;
}

/** Puts the scene into databases of its own, to be copied by each test. */
export async function openScene(server: TestServer, scene: Tables): Promise<SceneDatabases> {
  const originals: Record<string, string> = {};
  const shared: Record<string, string> = {};
  let copies = 0;
  const copy = async (name: SceneDatabase) => {
    copies += 1;
    const database = `audit_${name}_${copies}`;
    const original = new URL(originals[name] ?? "").pathname.slice(1);
    await run(server.part().adminUrl, `create database ${database} template ${original}`);
    return server.part().urlOf(database);
  };
  for (const name of SCENE_DATABASES) {
    // Of the payment service's own tables only those made by hand: any other service's database has the common ones.
    const { url } = await server.fresh(name === "payment" ? "customer" : name);
    const byHand = TABLES_BY_HAND[name];
    if (byHand !== undefined) await run(url, byHand);
    await scene.insertInto(name, url);
    originals[name] = url;
    shared[name] = await copy(name);
  }
  return {
    async with(statements) {
      const urls = { ...shared };
      for (const name of SCENE_DATABASES) {
        const text = statements[name];
        if (text === undefined) continue;
        urls[name] = await copy(name);
        await run(urls[name], text);
      }
      return urls as Urls;
    },
  };
}

export function configOf(urls: Urls): Config {
  const settings = Object.entries(urls).map(([name, url]) => [`${name.toUpperCase()}_DATABASE_URL`, url]);
  return loadConfig(Object.fromEntries(settings));
}
