import type { Database, Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of the least versions that tokens must have. */

export interface TokenVersion {
  readonly subject: string;
  readonly version: number;
}

export interface Revocation {
  readonly subject: string;
  /** The new least version; one more than the last when left out. */
  readonly version?: number;
  readonly actor: string;
  readonly reason: string;
}

const RAISE = statement(
  "token_version_raise",
  `with head as (update token_version_head set revision = revision + 1 returning revision)
   insert into token_versions as known (subject, version, revision, actor, reason)
   select $1, coalesce($2::bigint, 1), head.revision, $3, $4 from head
   on conflict (subject) do update set
     version = greatest(known.version, coalesce($2::bigint, known.version + 1)),
     revision = excluded.revision, actor = excluded.actor, reason = excluded.reason, at = now()
   returning subject, version`,
);

const CHANGES = statement(
  "token_version_changes",
  `select subject, version, revision from token_versions where revision > $1 order by revision limit $2`,
);

/** Raises it; never lowers it. */
export async function raiseTokenVersion(tx: Tx, revocation: Revocation): Promise<TokenVersion> {
  const { subject, version = null, actor, reason } = revocation;
  const [raised] = await tx.query<TokenVersion>(RAISE, [subject, version, actor, reason]);
  if (raised === undefined) throw new Error("token_version_head has lost its row");
  return raised;
}

/** What changed after a revision, in the order of revisions; each subject as it stands now. */
export function tokenVersionsAfter(
  database: Database,
  revision: number,
  limit: number,
): Promise<(TokenVersion & { readonly revision: number })[]> {
  return database.query(CHANGES, [revision, limit]);
}
