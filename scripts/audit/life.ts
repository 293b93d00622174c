import type { Snapshot } from "./snapshot.ts";

/** A relay renews its row every few seconds while its service runs, and takes it back when that stops. */
export async function livesNow(snapshot: Snapshot): Promise<boolean> {
  if (!snapshot.tables.has("outbox_relays")) return false;
  const [row] = await snapshot.query<{ alive: boolean }>(
    "select exists (select from outbox_relays where seen_until > now()) as alive",
  );
  return row?.alive === true;
}

/** Where work leaves the time at which it was done. */
const TRACES = [
  ["outbox_events", "created_at"],
  ["outbox_delivery", "published_at"],
  ["processed_events", "processed_at"],
  ["idempotency_records", "created_at"],
  ["orders", "updated_at"],
  ["order_reservations", "updated_at"],
  ["stock_adjustments", "at"],
  ["payments", "updated_at"],
  ["saga_instances", "updated_at"],
  ["tcc_transactions", "created_at"],
] as const;

/** When this database was last written to, in milliseconds since the epoch; minus infinity when never. */
export async function lastSignOfLife(snapshot: Snapshot): Promise<number> {
  const present = TRACES.filter(([table]) => snapshot.tables.has(table));
  if (present.length === 0) return Number.NEGATIVE_INFINITY;
  const latest = present.map(([table, column]) => `(select max(${column}) from ${table})`);
  const [row] = await snapshot.query<{ at: Date | null }>(`select greatest(${latest.join(", ")}) as at`);
  return row?.at?.getTime() ?? Number.NEGATIVE_INFINITY;
}
