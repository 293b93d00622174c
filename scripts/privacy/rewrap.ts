import { type Database, withTransaction } from "../../lib/database.ts";
import { isUnreadable } from "../../lib/personal-data/errors.ts";
import type { PersonalData } from "../../lib/personal-data/personal-data.ts";
import { statement } from "../../lib/statement.ts";
import type { Held, Holder } from "./holders.ts";

export interface RewrapOptions {
  readonly database: Database;
  readonly personalData: PersonalData;
  /** Id of the ring's primary key. */
  readonly primary: string;
  /** Rows that one transaction looks at. */
  readonly stepSize: number;
  /** Told after each step; what it throws ends the run, and the next run begins where it is needed. */
  readonly onStep?: (progress: Rewrapped) => void | Promise<void>;
}

export interface Rewrapped {
  readonly what: string;
  looked: number;
  rewrapped: number;
  /** Rows that somebody else wrote at the same moment: the next run has them. */
  missed: number;
  /** Keys of rows that cannot be decrypted. */
  readonly unreadable: string[];
}

/**
 * Brings a column under the primary key, in steps of one short transaction each along the primary key of its table. It
 * keeps no place: what is under the primary key already is read and left, so that a run that was cut off is begun again.
 */
export async function rewrap(holder: Holder, options: RewrapOptions): Promise<Rewrapped> {
  const progress: Rewrapped = { what: holder.what, looked: 0, rewrapped: 0, missed: 0, unreadable: [] };
  let after: readonly string[] | undefined;
  do {
    after = await step(holder, options, progress, after);
    await options.onStep?.(progress);
  } while (after !== undefined);
  return progress;
}

/** Answers the last key that it looked at; undefined at the end of the table. */
async function step(
  holder: Holder,
  { database, personalData, primary, stepSize }: RewrapOptions,
  progress: Rewrapped,
  after: readonly string[] | undefined,
): Promise<readonly string[] | undefined> {
  const page = after === undefined ? firstPage(holder) : nextPage(holder);
  const rows = await database.query<PageRow>(page, [stepSize, `p1.${primary}.`, ...(after ?? [])]);
  const changes = rows.flatMap(({ key, value }) => {
    const held = value === null ? undefined : { key, value };
    const renewed = held && renew(holder, personalData, held, progress);
    return held && renewed !== undefined && renewed !== held.value ? [{ ...held, renewed }] : [];
  });
  const written = changes.length === 0 ? 0 : await write(holder, database, changes);
  progress.looked += rows.length;
  progress.rewrapped += written;
  progress.missed += changes.length - written;
  return rows.length < stepSize ? undefined : rows.at(-1)?.key;
}

interface PageRow {
  readonly key: readonly string[];
  /** Null where it is as it should be, or nothing is there. */
  readonly value: string | null;
}

function renew(holder: Holder, personalData: PersonalData, held: Held, progress: Rewrapped) {
  try {
    return holder.renew(personalData, held);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    progress.unreadable.push(held.key.join(" "));
    return undefined;
  }
}

const page = ({ table, key, column, encrypted, what }: Holder, name: string, where: string) => {
  const columns = key.map((part) => part.column).join(", ");
  const stale = encrypted.map((sql) => `not starts_with(${sql}, $2)`).join(" or ");
  return statement(
    `rewrap_${name}_${what.replaceAll(/\W/g, "_")}`,
    `select array[${key.map((part) => `${part.column}::text`).join(", ")}] as key,
            case when ${stale} then ${column}::text end as value
     from ${table} ${where} order by ${columns} limit $1`,
  );
};

const firstPage = (holder: Holder) => page(holder, "first", "");

function nextPage(holder: Holder) {
  const columns = holder.key.map((part) => part.column).join(", ");
  const given = holder.key.map((part, index) => `$${index + 3}::${part.type}`).join(", ");
  return page(holder, "next", `where (${columns}) > (${given})`);
}

interface Change extends Held {
  readonly renewed: string;
}

/** Writes what nobody else has written since; answers how many rows that were. */
function write(holder: Holder, database: Database, changes: readonly Change[]): Promise<number> {
  const { table, key, column, type, what } = holder;
  const keys = key.map((part, index) => `$${index + 3}::${part.type}[]`);
  const same = key.map((part, index) => `t.${part.column} = c.key${index}`);
  const update = statement(
    `rewrap_write_${what.replaceAll(/\W/g, "_")}`,
    `update ${table} t set ${column} = c.renewed::${type}
     from unnest($1::text[], $2::text[], ${keys.join(", ")})
          as c(value, renewed, ${key.map((_, index) => `key${index}`).join(", ")})
     where ${same.join(" and ")} and t.${column}::text = c.value
     returning 1 as written`,
  );
  const values = [
    changes.map(({ value }) => value),
    changes.map(({ renewed }) => renewed),
    ...key.map((_, index) => changes.map((change) => change.key[index])),
  ];
  return withTransaction(database, async (tx) => (await tx.query(update, values)).length);
}
