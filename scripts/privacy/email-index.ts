import type { Database } from "../../lib/database.ts";
import { isUnreadable } from "../../lib/personal-data/errors.ts";
import { emailIndexOf, isCiphertext, type PersonalData } from "../../lib/personal-data/personal-data.ts";
import { statement } from "../../lib/statement.ts";
import type { Rewrapped } from "./rewrap.ts";

const PAGE = statement(
  "rewrap_email_index_page",
  `select id, email, email_index as index from customers
   where ($2::uuid is null or id > $2) order by id limit $1`,
);
const WRITE = statement(
  "rewrap_email_index_write",
  `update customers c set email_index = $3 where c.id = $1 and c.email = $2
     and not exists (select from customers o where o.email_index = $3)
   returning 1 as written`,
);

interface Row {
  readonly id: string;
  readonly email: string;
  readonly index: string | null;
}

/** Brings the blind index of e-mail addresses under the ring's index key. A second one of an address stays without. */
export async function reindexEmails(
  database: Database,
  personalData: PersonalData,
  stepSize: number,
): Promise<Rewrapped> {
  const progress: Rewrapped = {
    what: "customers.email_index",
    looked: 0,
    rewrapped: 0,
    missed: 0,
    unreadable: [],
  };
  let rows: Row[];
  let after: string | null = null;
  do {
    rows = await database.query<Row>(PAGE, [stepSize, after]);
    for (const { id, email, index } of rows) {
      const expected = expectedIndex(personalData, id, email);
      if (expected === undefined) progress.unreadable.push(id);
      if (expected === undefined || expected === index) continue;
      const written = await database.query(WRITE, [id, email, expected]);
      progress.rewrapped += written.length;
      if (written.length === 0) progress.unreadable.push(id);
    }
    progress.looked += rows.length;
    after = rows.at(-1)?.id ?? null;
  } while (rows.length === stepSize);
  return progress;
}

/** Null where there is no address, or one that is not encrypted; undefined where it cannot be decrypted. */
function expectedIndex(personalData: PersonalData, rowId: string, email: string): string | null | undefined {
  if (!isCiphertext(email)) return null;
  try {
    return emailIndexOf(personalData, personalData.decrypt({ column: "customers.email", rowId }, email));
  } catch (error) {
    if (isUnreadable(error)) return undefined;
    throw error;
  }
}
