import type { Sql, SystemDatabase } from "./system.ts";

/** Finds where a value has come to lie, as text or in the usual disguises. */

/** Hex, and base64 at each of the three places where it may begin within a longer text. */
export function disguisesOf(value: string): string[] {
  const base64 = [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.from("\0".repeat(offset) + value).toString("base64");
    // Characters that also hold bits of what stands before or behind are left out.
    const inner = encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + value.length) * 8) / 6));
    return [inner, inner.replaceAll("+", "-").replaceAll("/", "_")];
  });
  const hex = Buffer.from(value).toString("hex");
  return [...new Set([value, value.toLowerCase(), value.toUpperCase(), hex, ...base64])];
}

/** The names of those values that a text holds. */
export function tracesIn(text: string, planted: Readonly<Record<string, string>>): string[] {
  const entries = Object.entries(planted);
  return entries.flatMap(([name, value]) =>
    disguisesOf(value).some((one) => text.includes(one)) ? [name] : [],
  );
}

/** Which values lie in which tables: "order.orders: address". */
export async function tracesInDatabases(
  sql: Sql,
  databases: readonly SystemDatabase[],
  planted: Readonly<Record<string, string>>,
): Promise<string[]> {
  const found: string[] = [];
  for (const database of databases) {
    const tables = await sql<{ name: string }>(
      database,
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
       where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
    );
    for (const { name } of tables) {
      const places = await sql<{ value: string }>(
        database,
        `select value from unnest($1::text[], $2::text[]) as p(value, disguise)
         where exists (select from ${name} t where strpos(t::text, disguise) > 0) group by value`,
        [
          Object.entries(planted).flatMap(([what, value]) => disguisesOf(value).map(() => what)),
          Object.values(planted).flatMap(disguisesOf),
        ],
      );
      found.push(...places.map(({ value }) => `${database}.${name.replace("public.", "")}: ${value}`));
    }
  }
  return found.sort();
}
