import type { Page } from "./contracts.ts";
import { RuleViolationError } from "./errors.ts";

/** Keyset pages: a cursor is the id after which the next page begins, opaque to the client. */

export const PAGE_SIZE = 20;

/** Above every id of ours: where a list that goes from the newest to the oldest begins. */
export const LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** What a cursor was made of. @throws RuleViolationError it was not made by us */
export function readCursor(cursor: string): string {
  const id = Buffer.from(cursor, "base64url").toString("utf8");
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) {
    throw new RuleViolationError("The cursor is not one that this API gave out.", "CURSOR_INVALID", {
      cursor,
    });
  }
  return id;
}

/** A page of at most `limit` of the rows found, of which one more than that was asked for. */
export function pageOf<Row extends { id: string }>(rows: readonly Row[], limit: number) {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last ? Buffer.from(last.id).toString("base64url") : undefined;
  return { rows: shown, ...(nextCursor && { nextCursor }) };
}

export interface Paging {
  readonly limit?: number;
  readonly cursor?: string;
}

/** Where a page of a list from the newest to the oldest begins, with one row more than it shows. */
export interface Seek {
  readonly before?: string;
  readonly rows: number;
}

/** @throws RuleViolationError the cursor was not made by us */
export function seekOf({ limit = PAGE_SIZE, cursor }: Paging): Seek {
  return { rows: limit + 1, ...(cursor && { before: readCursor(cursor) }) };
}

/** The page of what `seekOf` has found, each row as its view. */
export function pageBy<Row extends { id: string }, View>(
  found: readonly Row[],
  { limit = PAGE_SIZE }: Paging,
  view: (row: Row) => View,
): Page<View> {
  const { rows, nextCursor } = pageOf(found, limit);
  return { items: rows.map(view), ...(nextCursor && { nextCursor }) };
}
