import type { Database } from "../lib/database.ts";
import { statement } from "../lib/statement.ts";

/**
 * Who relays which bucket. Each relay says that it lives, takes free or lapsed buckets up to its fair
 * share, and gives up what is above it; the database clock decides. One owner per bucket at a time is what
 * keeps the order per aggregate while many relays work.
 */
const CLAIM = statement(
  "outbox_claim_buckets",
  `with alive as (
     insert into outbox_relays (owner, seen_until) values ($1, now() + $2 * interval '1 millisecond')
     on conflict (owner) do update set seen_until = excluded.seen_until
     returning owner
   ), share as (
     select ceil(16.0 / (select count(*) + 1 from outbox_relays where seen_until > now() and owner <> $1))::int as most
     from alive
   ), mine as (
     select bucket from outbox_buckets where owner = $1 and leased_until > now()
     order by bucket limit (select most from share)
     for update
   ), free as (
     select bucket from outbox_buckets
     where owner is null or leased_until <= now()
     order by bucket limit greatest(0, (select most from share) - (select count(*) from mine))
     for update skip locked
   )
   update outbox_buckets b
   set owner = case when b.bucket in (select bucket from mine union all select bucket from free) then $1 end,
       leased_until = now() + $2 * interval '1 millisecond'
   where b.owner = $1 or b.bucket in (select bucket from free)
   returning b.bucket, b.owner`,
);

/** Renews and claims. Answers the buckets that are this relay's until the lease ends. */
export async function claimBuckets(database: Database, owner: string, leaseMs: number): Promise<number[]> {
  const rows = await database.query<{ bucket: number; owner: string | null }>(CLAIM, [owner, leaseMs]);
  return rows.filter((row) => row.owner === owner).map((row) => row.bucket);
}

const RELEASE = statement(
  "outbox_release_buckets",
  `with gone as (delete from outbox_relays where owner = $1)
   update outbox_buckets set owner = null, leased_until = '-infinity' where owner = $1`,
);

export async function releaseBuckets(database: Database, owner: string): Promise<void> {
  await database.query(RELEASE, [owner]);
}
