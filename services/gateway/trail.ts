import { RuleViolationError } from "../../lib/errors.ts";
import type { TrailEntry, TrailFilter } from "../../lib/operator-contracts.ts";
import { PAGE_SIZE } from "../../lib/page.ts";
import { DATABASE_NAMES, type DatabaseName } from "../../lib/settings.ts";
import { explained, oneOf, PAGE, type QueryOf, token } from "./query.ts";
import { type ApiRequest, type Call, ok, type Reply } from "./request.ts";

/** The audit trails of all services as one list: who did what to what. */

export const TRAIL_QUERY = {
  service: oneOf(DATABASE_NAMES),
  actor: token(100),
  action: explained("An action, or the first word of several: `operator`.", token(64)),
  targetId: explained("The id of what it was done to.", token(200)),
  ...PAGE,
};

/** Of each service that is looked at, the entry before which the next page begins. */
type Positions = ReadonlyMap<DatabaseName, number | undefined>;

/** GET /ops/audit: newest first. Between services the order is that of their databases' clocks. */
export async function listTrails(
  request: ApiRequest<undefined, QueryOf<typeof TRAIL_QUERY>>,
  call: Call,
): Promise<Reply> {
  const { service, cursor, limit = PAGE_SIZE, ...filter } = request.query;
  const begun = positionsIn(cursor);
  const services = service === undefined ? DATABASE_NAMES : [service];
  const trails = await Promise.all(
    services.map(async (name) => {
      const before = begun.get(name);
      const params: TrailFilter = { ...filter, rows: limit + 1, ...(before !== undefined && { before }) };
      const { items } = await call(`${name}.trail`, params);
      return items.map((entry) => ({ service: name, ...entry }));
    }),
  );
  const merged = newestFirst(trails);
  const items = merged.slice(0, limit);
  if (merged.length <= limit) return ok({ items });
  // Of a trail that this page shows nothing of, what comes meanwhile must not stand on the next one.
  const ends = services.map((name, index) => [name, (trails[index]?.[0]?.sequence ?? -1) + 1] as const);
  const shown = items.map((entry) => [entry.service, entry.sequence] as const);
  return ok({ items, nextCursor: cursorOf(new Map([...ends, ...shown])) });
}

/** Merges lists that are in order each; theirs stands, also where a clock was set back. */
export function newestFirst(trails: readonly (readonly TrailEntry[])[]): TrailEntry[] {
  const left = trails.map((trail) => [...trail].reverse());
  const merged: TrailEntry[] = [];
  for (;;) {
    const heads = left.flatMap((trail) => trail.at(-1) ?? []);
    if (heads.length === 0) return merged;
    const next = heads.reduce((latest, head) => (head.at > latest.at ? head : latest));
    merged.push(next);
    left.find((trail) => trail.at(-1) === next)?.pop();
  }
}

function cursorOf(positions: Positions): string {
  const text = DATABASE_NAMES.map((name) => positions.get(name) ?? "-").join(".");
  return Buffer.from(text).toString("base64url");
}

/** @throws RuleViolationError it was not made by us */
function positionsIn(cursor: string | undefined): Positions {
  if (cursor === undefined) return new Map();
  const parts = Buffer.from(cursor, "base64url").toString("utf8").split(".");
  if (parts.length !== DATABASE_NAMES.length || !parts.every((part) => /^(-|\d{1,15})$/.test(part)))
    throw new RuleViolationError("The cursor is not one that this API gave out.", "CURSOR_INVALID", {
      cursor,
    });
  return new Map(
    DATABASE_NAMES.map((name, index) => [name, parts[index] === "-" ? undefined : Number(parts[index])]),
  );
}
