import { createHash } from "node:crypto";
import type { System } from "./system.ts";

const TABLES = [
  ["order", "orders"],
  ["order", "order_status_history"],
  ["order", "order_tombstones"],
  ["order", "tcc_barriers"],
  ["order", "outbox_events"],
  ["product", "products"],
  ["product", "order_reservations"],
  ["product", "stock_reservations"],
  ["product", "stock_adjustments"],
  ["product", "tcc_barriers"],
  ["product", "outbox_events"],
  ["payment", "payments"],
  ["payment", "payment_attempts"],
  ["payment", "refunds"],
  ["payment", "ledger_entries"],
  ["payment", "psp_events"],
  ["payment", "tcc_barriers"],
  ["payment", "outbox_events"],
  ["payment", "idempotency_records"],
  ["customer", "customers"],
  ["customer", "token_versions"],
  ["saga", "operator_actions"],
  ["saga", "saga_instances"],
  ["saga", "tcc_transactions"],
  ["saga", "idempotency_records"],
] as const;

/** Of all rows of all tables that a request could change. */
export async function fingerprint(system: System): Promise<Readonly<Record<string, string>>> {
  const found = await Promise.all(
    TABLES.map(async ([database, table]) => {
      const rows = await system.sql<{ row: string }>(
        database,
        `select t::text as row from ${table} t order by 1`,
      );
      const hash = createHash("sha256");
      for (const { row } of rows) hash.update(row);
      return [`${database}.${table}`, hash.digest("hex")] as const;
    }),
  );
  return Object.fromEntries(found);
}
