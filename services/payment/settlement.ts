import type { Logger } from "moleculer";
import type { Database, Tx } from "../../lib/database.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import type { Asked } from "./payment.store.ts";
import { type Answered, Books } from "./settlement.books.ts";
import { lockAttempts, sagasOf } from "./settlement.store.ts";

/** Writes down what the provider answered: attempt, payment, ledger, event and the barrier's reply, together. */

export interface PaymentContext {
  readonly database: Database;
  readonly enqueueEvents: (tx: Tx, events: readonly NewEvent[]) => void;
  readonly logger: Logger;
}

/** Settles answers in the order given; answers each attempt with its payment as they are then. */
export async function settleAnswers(
  context: PaymentContext,
  tx: Tx,
  answers: readonly Answered[],
  locked?: ReadonlyMap<string, Asked>,
): Promise<(Asked | Error)[]> {
  const asked =
    locked ??
    (await lockAttempts(
      tx,
      answers.map(({ attemptId }) => attemptId),
    ));
  const refundIds = [...asked.values()].flatMap(({ attempt }) => attempt.refundId ?? []);
  const books = new Books(asked, await sagasOf(tx, refundIds));
  const results = answers.map((answer) => books.enter(answer));
  books.write(tx);
  context.enqueueEvents(tx, books.events);
  tx.afterCommit(() => books.report(context.logger));
  return results;
}
