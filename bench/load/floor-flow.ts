import { randomUUID } from "node:crypto";
import pg from "pg";
import type { Basket, Flow, Placed } from "./flow.ts";
import { BUSINESS_CONNECTIONS_MAX, BUSINESS_SETTINGS, ORDER_STEPS, rowsOf } from "./order-rows.ts";
import type { FloorTarget } from "./protocol.ts";

/**
 * The floor: what the bare business costs. One transaction an order, one statement after the other, as most people
 * would write it: no saga, no events, no idempotency, no HTTP; one crash away from nothing, for there is one database.
 */
export function createFloorFlow({ url, customerIds }: FloorTarget, concurrency: number): Flow {
  const pool = openBusiness(url, concurrency);
  let placed = 0;
  return {
    async place(basket: Basket): Promise<Placed> {
      const rows = rowsOf(randomUUID(), customerIds[placed % customerIds.length] ?? "", basket);
      placed += 1;
      await inTransaction(pool, async (client) => {
        await ORDER_STEPS.draft(client, rows);
        await ORDER_STEPS.customer(client, rows);
        await ORDER_STEPS.reserve(client, rows);
        await ORDER_STEPS.confirm(client, rows);
      });
      return { orderId: rows.id };
    },
    polled: () => false,
    close: () => pool.end(),
  };
}

/** Sessions that write business rows by plain SQL. */
export function openBusiness(url: string, concurrency: number): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: Math.min(concurrency, BUSINESS_CONNECTIONS_MAX),
    idleTimeoutMillis: 0,
    options: BUSINESS_SETTINGS,
  });
  pool.on("error", () => undefined);
  return pool;
}

/** @throws what the work throws, after a rollback */
export async function inTransaction(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<void>,
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    await work(client);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}
