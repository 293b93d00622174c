import { until } from "../../support/until.ts";
import type { Cluster } from "./cluster.ts";

/** How long until what was in hand has ended: after a death, and after all faults. */

/** Sagas, transactions, refunds and events that were begun before that moment and have not come to their end. */
async function openSince({ sql }: Cluster, before: Date): Promise<number> {
  const [saga] = await sql<{ count: number }>(
    "saga",
    `select ((select count(*) from saga_instances where wake_at is not null and created_at < $1)
           + (select count(*) from tcc_transactions where wake_at is not null and created_at < $1))::int as count`,
    [before],
  );
  const [refunds] = await sql<{ count: number }>(
    "payment",
    "select count(*)::int as count from refunds where status = 'pending' and created_at < $1",
    [before],
  );
  const waiting = (["order", "product", "payment", "saga"] as const).map(async (database) => {
    const [row] = await sql<{ count: number }>(
      database,
      `select count(*)::int as count from outbox_delivery d join outbox_events e using (position)
       where d.status = 'PENDING' and e.created_at < $1`,
      [before],
    );
    return row?.count ?? 0;
  });
  const events = (await Promise.all(waiting)).reduce((sum, count) => sum + count, 0);
  return (saga?.count ?? 0) + (refunds?.count ?? 0) + events;
}

export class NotRecoveredError extends Error {
  constructor(left: number, timeoutMs: number, cause: unknown) {
    super(`${left} sagas, transactions, refunds or events have not ended ${timeoutMs} ms after the faults`, {
      cause,
    });
  }
}

/** Waits until all that was begun before now has ended; answers how long that took. @throws NotRecoveredError */
export async function recovered(cluster: Cluster, timeoutMs: number): Promise<number> {
  const healedAt = performance.now();
  const before = new Date();
  let last = Number.NaN;
  await until(
    "all that was begun has ended",
    async () => {
      last = await openSince(cluster, before);
      return last === 0;
    },
    // Often enough to measure by, seldom enough not to be the load.
    { timeoutMs, intervalMs: 200 },
  ).catch((cause: unknown) => {
    throw new NotRecoveredError(last, timeoutMs, cause);
  });
  return Math.round(performance.now() - healedAt);
}

export interface TakeOver {
  readonly ms: number;
  /** What took longest, and when the death was. */
  readonly what: string;
  readonly diedAt: string;
}

/**
 * By death: the longest that something which was in hand at that moment still took, be it taken over by the other
 * replica or by the one that was started anew. Deaths that met nothing in hand tell nothing.
 * @param deaths of processes, while nothing else was wrong
 */
export async function takeOvers({ sql }: Cluster, deaths: readonly Date[]): Promise<TakeOver[]> {
  return sql<TakeOver>(
    "saga",
    `select distinct on (death.at) round(extract(epoch from ended.at - death.at) * 1000)::float8 as ms, what,
            death.at::text as "diedAt"
     from unnest($1::timestamptz[]) as death(at)
     join (select created_at, updated_at as at, format('%s %s', saga_type, id) as what
           from saga_instances where wake_at is null
           union all
           select created_at, updated_at, format('%s %s', tcc_type, id) from tcc_transactions
           -- Waiting for this provider takes seconds by itself.
           where wake_at is null and input ->> 'paymentMethod' <> 'sim_timeout_after_effect') ended
       on ended.created_at < death.at and ended.at >= death.at
     order by death.at, ms desc`,
    [deaths],
  );
}
