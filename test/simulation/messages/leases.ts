import type { Statement } from "./tables.ts";

const BUCKETS = 16;

/** Who relays which bucket, in the words of outbox-buckets.store.ts. */
export function leaseStatements(): Record<string, Statement> {
  const relays = new Map<string, number>();
  const buckets = Array.from({ length: BUCKETS }, () => ({ owner: "", untilMs: -1 }));
  return {
    outbox_claim_buckets: {
      run: ([owner, leaseMs], nowMs) => {
        const untilMs = nowMs + (leaseMs as number);
        const others = [...relays].filter(([name, until]) => name !== owner && until > nowMs).length;
        relays.set(owner as string, untilMs);
        const most = Math.ceil(BUCKETS / (others + 1));
        const rows = buckets.map((lease, bucket) => ({ lease, bucket }));
        const mine = rows
          .filter(({ lease }) => lease.owner === owner && lease.untilMs > nowMs)
          .slice(0, most);
        const free = rows
          .filter(({ lease }) => lease.owner === "" || lease.untilMs <= nowMs)
          .slice(0, Math.max(0, most - mine.length));
        const kept = new Set([...mine, ...free]);
        for (const row of rows) {
          if (kept.has(row)) Object.assign(row.lease, { owner, untilMs });
          else if (row.lease.owner === owner) Object.assign(row.lease, { owner: "", untilMs });
        }
        return [...kept].map(({ bucket }) => ({ bucket, owner }));
      },
    },
    outbox_release_buckets: {
      run: ([owner]) => {
        relays.delete(owner as string);
        for (const lease of buckets) {
          if (lease.owner === owner) Object.assign(lease, { owner: "", untilMs: -1 });
        }
        return [];
      },
    },
  };
}
