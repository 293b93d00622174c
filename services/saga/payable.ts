import type { IdempotencyClaim, OrderBill } from "../../lib/contracts.ts";
import { type Database, withTransaction } from "../../lib/database.ts";
import { StateConflictError } from "../../lib/errors.ts";
import { findRecords } from "../../mixins/idempotency.store.ts";
import { refusedAttempt } from "./tcc.store.ts";

/** 409: the order has been tried to be paid so often that it looks like somebody trying cards. It stays that way. */
export class PayAttemptsExhaustedError extends StateConflictError {
  constructor(orderId: string, attemptsMax: number) {
    const message = `This order has been tried to be paid ${attemptsMax} times; place a new one.`;
    super(message, "PAY_ATTEMPTS_EXHAUSTED", { orderId, attemptsMax });
  }
}

export interface Payable {
  /**
   * Lets only an order that is `created` be paid, but a repeated request through to its stored answer, whatever
   * has become of the order since. @throws ORDER_STATE_CONFLICT, PAY_ATTEMPTS_EXHAUSTED
   */
  check(order: OrderBill, claim: IdempotencyClaim): Promise<void>;
  /** What the refusal of a single attempt to pay means. @throws ORDER_STATE_CONFLICT, PAY_ATTEMPTS_EXHAUSTED */
  refused(orderId: string): (error: unknown) => never;
}

/** Orders that are remembered as exhausted; one that is forgotten is refused by the database again. */
const REMEMBERED_MAX = 10_000;

export function createPayable(database: Database, attemptsMax: number): Payable {
  // An attempt too many costs the batch that it comes in; this keeps it to one for each order.
  const exhausted = new Set<string>();
  const isKnown = async (claim: IdempotencyClaim) =>
    (await withTransaction(database, (tx) => findRecords(tx, [claim]))).size > 0;
  return {
    async check({ orderId, status }, claim) {
      if (status === "created" && !exhausted.has(orderId)) return;
      if (await isKnown(claim)) return;
      if (exhausted.has(orderId)) throw new PayAttemptsExhaustedError(orderId, attemptsMax);
      throw cannotBePaid(orderId, status);
    },
    refused: (orderId) => (error) => {
      const refusal = refusedAttempt(error);
      if (refusal === undefined) throw error;
      if (refusal === "meanwhile") throw cannotBePaid(orderId, "paying");
      const [oldest] = exhausted;
      if (exhausted.size >= REMEMBERED_MAX && oldest !== undefined) exhausted.delete(oldest);
      exhausted.add(orderId);
      throw new PayAttemptsExhaustedError(orderId, attemptsMax);
    },
  };
}

function cannotBePaid(orderId: string, status: string): StateConflictError {
  const message = `An order that is ${status} cannot be paid.`;
  return new StateConflictError(message, "ORDER_STATE_CONFLICT", { orderId, status });
}
