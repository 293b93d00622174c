import type { Database } from "../lib/database.ts";
import { claimBuckets, releaseBuckets } from "./outbox-buckets.store.ts";

export const BUCKETS = 16;

/** The buckets that are this relay's, for as long as it renews its lease. */
export interface BucketLease {
  buckets(): readonly number[];
  isDue(): boolean;
  /** Answers true where others may have published meanwhile: in buckets that are new, or in all after the lease had ended. */
  renew(): Promise<boolean>;
  release(): Promise<void>;
}

export function createBucketLease(database: Database, owner: string, leaseMs: number): BucketLease {
  let buckets: readonly number[] = [];
  let claimedAt = Number.NEGATIVE_INFINITY;
  return {
    buckets: () => buckets,
    isDue: () => performance.now() - claimedAt >= leaseMs / 3,
    async renew() {
      const before = performance.now();
      const hasEnded = before - claimedAt >= leaseMs;
      const owned = await claimBuckets(database, owner, leaseMs);
      // Its lease counts from before the statement was sent: never believed longer than the database does.
      claimedAt = before;
      const hasNew = owned.some((bucket) => !buckets.includes(bucket));
      buckets = owned;
      return hasEnded || hasNew;
    },
    release: () => releaseBuckets(database, owner),
  };
}
