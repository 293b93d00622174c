import pg from "pg";
import { inDatabase } from "../data.ts";
import type { System } from "../system.ts";

/** What orders leave behind, by database. Registers of what runs now, catalogues and trails are not among it. */
const COMMON = [
  "outbox_events",
  "outbox_delivery",
  "processed_events",
  "idempotency_records",
  "tcc_barriers",
];
const TABLES: Readonly<Record<string, readonly string[]>> = {
  order: ["orders", "order_items", "order_status_history", ...COMMON],
  product: ["order_reservations", "stock_reservations", ...COMMON],
  payment: [
    "payments",
    "payment_attempts",
    "ledger_entries",
    "psp_events",
    "psp_simulator.charges",
    "psp_simulator.operations",
    "psp_simulator.callbacks",
    ...COMMON,
  ],
  saga: ["saga_instances", "tcc_transactions", ...COMMON],
  bus: ["bus_log"],
};

/** Ids that tell of something that has no past of its own. */
const SHARED = ["product_id", "customer_id", "owner_id"];
const ROWS_AT_ONCE = 100_000;

/**
 * The id that a copy has, the same in every database. Ids that hold a time (UUIDv7) lie so many minutes earlier, as past
 * ones do: what is new goes to the right edge of an index.
 */
const PAST_ID = `
  create function bench_template.past(id uuid, copy int) returns uuid language sql immutable as $$
    select case when substr(id::text, 15, 1) = '7'
      then (lpad(to_hex(('x' || left(id::text, 8) || substr(id::text, 10, 4))::bit(48)::bigint - copy * 60000::bigint), 12, '0')
            || substr(id::text, 14))::uuid
      else md5(id::text || copy)::uuid end
  $$`;

export interface Past {
  /** Copies everything that there was until there are so many orders in all. */
  fillTo(orders: number): Promise<void>;
}

/**
 * Multiplies what the orders so far have left in all databases, as if as many more had been made and paid. Their events'
 * payloads name the first ones, so that the audit would rightly complain of them.
 */
export async function preparePast(system: System, progress: (line: string) => void): Promise<Past> {
  const urls: Readonly<Record<string, string>> = { ...system.demo.databases, bus: system.urlOf("oms_bus") };
  const databases = Object.keys(TABLES).map((name) => ({ name, url: urls[name] ?? "" }));
  for (const { name, url } of databases)
    await inDatabase(url, (client) => makeTemplate(client, TABLES[name] ?? []));
  const template = await inDatabase(urls.order ?? "", async (client) =>
    Number(
      (await client.query<{ count: string }>("select count(*) from bench_template.orders")).rows[0]?.count,
    ),
  );
  let copies = 0;
  return {
    async fillTo(orders) {
      const wanted = Math.max(0, Math.round(orders / template) - 1);
      for (const { name, url } of databases) {
        const bytes = await inDatabase(url, async (client) => {
          // No triggers, no foreign keys, no wait for the disk.
          await client.query("set session_replication_role = replica; set synchronous_commit = off");
          for (const table of TABLES[name] ?? []) await copyTable(client, table, copies + 1, wanted);
          await client.query("vacuum analyze");
          const text = "select pg_database_size(current_database())::float8 as bytes";
          return (await client.query<{ bytes: number }>(text)).rows[0]?.bytes ?? 0;
        });
        progress(`${name}: ${orders.toLocaleString("en-US")} orders, ${Math.round(bytes / 1024 ** 2)} MB`);
      }
      copies = wanted;
      await inDatabase(system.urlOf("postgres"), (client) => client.query("checkpoint"));
    },
  };
}

const templateOf = (table: string) => `bench_template.${table.replace(/^.*\./, "")}`;

async function makeTemplate(client: pg.Client, tables: readonly string[]): Promise<void> {
  await client.query("create schema bench_template");
  await client.query(PAST_ID);
  for (const table of tables)
    await client.query(`create table ${templateOf(table)} as select * from ${table}`);
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly isIdentity: boolean;
}

async function copyTable(client: pg.Client, table: string, from: number, to: number): Promise<void> {
  const template = templateOf(table);
  const { rows: columns } = await client.query<Column>(
    `select attname as name, format_type(atttypid, null) as type, attidentity <> '' as "isIdentity"
     from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
    [table],
  );
  const copied = columns.filter(({ name, isIdentity }) => !isIdentity || name === "position");
  const place = copied.find(({ name }) => name === "position" || name === "offset")?.name;
  const { count, span } = await extentOf(client, template, place);
  if (count === 0) return;
  const names = copied.map(({ name }) => pg.escapeIdentifier(name)).join(", ");
  const values = copied.map((column) => pastValue(column, table, span)).join(", ");
  const step = Math.max(1, Math.floor(ROWS_AT_ONCE / count));
  for (let copy = from; copy <= to; copy += step) {
    await client.query(
      `insert into ${table} (${names}) overriding system value
       select ${values} from generate_series($1::int, $2::int) copy, ${template} t`,
      [copy, Math.min(to, copy + step - 1)],
    );
  }
}

function pastValue({ name, type }: Column, table: string, span: number): string {
  const column = `t.${pg.escapeIdentifier(name)}`;
  if (name === "position" || (name === "offset" && table === "bus_log"))
    return `${column} - copy * ${span}::bigint`;
  if (type === "uuid" && !SHARED.includes(name)) return `bench_template.past(${column}, copy)`;
  const isOwn =
    (table === "idempotency_records" && name === "key") || (table === "psp_events" && name === "event_id");
  return isOwn ? `${column} || '~' || copy` : column;
}

async function extentOf(client: pg.Client, template: string, place: string | undefined) {
  const span = place === undefined ? "0" : `coalesce(max("${place}") - min("${place}") + 1, 0)`;
  const { rows } = await client.query<{ count: number; span: number }>(
    `select count(*)::int as count, (${span})::float8 as span from ${template}`,
  );
  return rows[0] ?? { count: 0, span: 0 };
}
