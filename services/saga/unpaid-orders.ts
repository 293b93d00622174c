import { Errors } from "moleculer";
import type { IdempotencyClaim } from "../../lib/contracts.ts";
import { type Database, withTransaction } from "../../lib/database.ts";
import { findRecords } from "../../mixins/idempotency.store.ts";

/** 429: the customer holds stock with as many unpaid orders as they may. */
export class TooManyUnpaidOrdersError extends Errors.MoleculerClientError {
  constructor(max: number) {
    const message = `There are ${max} orders that are not paid yet: pay or cancel one first.`;
    super(message, 429, "TOO_MANY_UNPAID_ORDERS", { max, retryAfterSeconds: RETRY_AFTER_SECONDS });
  }
}

/** Nobody knows when a customer pays; sooner than this the next try is hardly worth it. */
const RETRY_AFTER_SECONDS = 10;
/** Customers that are counted at once; one that is forgotten starts from nothing. */
const CUSTOMERS_MAX = 50_000;

export interface UnpaidGuardOptions {
  readonly database: Database;
  /** 0: any number. */
  readonly max: number;
  /** An order is not unpaid for longer. */
  readonly ttlSeconds: number;
  /** How many unpaid orders the customer has, up to `max`. */
  readonly ask: (customerId: string) => Promise<number>;
}

/** @throws TOO_MANY_UNPAID_ORDERS */
export type UnpaidGuard = (customerId: string, claim: IdempotencyClaim) => Promise<void> | undefined;

/**
 * Refuses orders of those who have too many unpaid ones before they are accepted. What decides is the order service, as it
 * drafts: this only asks it beforehand, and only about those who placed so many orders here within the time that a
 * reservation lasts that they could be at their limit. For everybody else it is a count in memory.
 */
export function createUnpaidGuard({ database, max, ttlSeconds, ask }: UnpaidGuardOptions): UnpaidGuard {
  const customers = new Map<string, { count: number; until: number }>();
  const countOf = (customerId: string) => {
    const now = performance.now();
    const known = customers.get(customerId);
    if (known && known.until > now) return known;
    customers.delete(customerId);
    const oldest = customers.keys().next().value;
    if (customers.size >= CUSTOMERS_MAX && oldest !== undefined) customers.delete(oldest);
    const fresh = { count: 0, until: now + ttlSeconds * 1_000 };
    customers.set(customerId, fresh);
    return fresh;
  };
  return (customerId, claim) => {
    if (max === 0) return undefined;
    const placed = countOf(customerId);
    placed.count += 1;
    if (placed.count <= max) return undefined;
    return ask(customerId).then(async (unpaid) => {
      placed.count = unpaid + 1;
      if (unpaid < max) return;
      // One that was accepted before is answered as it was then.
      const known = await withTransaction(database, (tx) => findRecords(tx, [claim]));
      if (known.size === 0) throw new TooManyUnpaidOrdersError(max);
    });
  };
}
