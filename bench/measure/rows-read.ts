import pg from "pg";
import { sleep } from "../../scripts/parts/process.ts";
import type { System } from "../system.ts";

/** Work that PostgreSQL did since it was created. */
export interface TableWork {
  /** Rows that scans and index lookups brought up, by `database.table`. */
  readonly rows: ReadonlyMap<string, number>;
  /** Pages looked at, found in memory or not, all databases. */
  readonly pages: number;
}

export interface TableMeter {
  read(): Promise<TableWork>;
  close(): Promise<void>;
}

const TABLES = `
  select relname as name, (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::float8 as rows
  from pg_stat_user_tables`;
const PAGES = `
  select (blks_hit + blks_read)::float8 as pages from pg_stat_database where datname = current_database()`;
/** A session that has fallen idle reports what it did after ten seconds at the latest. */
const REPORTED_MS = 10_500;

export async function openTableMeter(system: System): Promise<TableMeter> {
  const urls = { ...system.demo.databases, bus: system.urlOf("oms_bus") };
  const clients = await Promise.all(
    Object.entries(urls).map(async ([name, url]) => {
      const client = new pg.Client({ connectionString: url });
      client.on("error", () => undefined);
      await client.connect();
      return { name, client };
    }),
  );
  return {
    async read() {
      await sleep(REPORTED_MS);
      const rows = new Map<string, number>();
      let pages = 0;
      for (const { name, client } of clients) {
        const tables = await client.query<{ name: string; rows: number }>(TABLES);
        for (const table of tables.rows) rows.set(`${name}.${table.name}`, table.rows);
        pages += (await client.query<{ pages: number }>(PAGES)).rows[0]?.pages ?? 0;
      }
      return { rows, pages };
    },
    async close() {
      await Promise.all(clients.map(({ client }) => client.end()));
    },
  };
}
