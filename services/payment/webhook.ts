import { type Tx, withTransaction } from "../../lib/database.ts";
import { log } from "../../lib/logging.ts";
import { WebhookAmountError } from "./payment.errors.ts";
import type { Asked } from "./payment.store.ts";
import type { ProviderEvent } from "./psp/port.ts";
import { lockAttempts } from "./settlement.store.ts";
import { type PaymentContext, settleAnswers } from "./settlement.ts";
import { attemptsOf, type ReceivedRow, recordPspEvents } from "./webhook.store.ts";

/** What the provider tells by itself: noted once, and taken for an answer to the attempt that it is about. */

export interface Received {
  readonly provider: string;
  readonly event: ProviderEvent;
}

/** Takes events whose signatures hold. An Error refuses that event alone, without a trace of it. */
export async function receiveEvents(
  context: PaymentContext,
  received: readonly Received[],
): Promise<({ received: true } | Error)[]> {
  return withTransaction(context.database, async (tx) => {
    const attemptIds = await attemptsOf(
      tx,
      received.map(({ event }) => event.about ?? {}),
    );
    const known = new Set(attemptIds.filter((id) => id !== undefined));
    const asked = known.size > 0 ? await lockAttempts(tx, [...known]) : new Map<string, Asked>();
    const judged = received.map((one, index) => judge(one, asked.get(attemptIds[index] ?? "")));
    const rows = judged.flatMap((one) => (one instanceof Error ? [] : [one]));
    const fresh = await recordPspEvents(tx, rows);
    await settleFresh(
      context,
      tx,
      rows.filter((row) => fresh.has(row.eventId)),
      asked,
    );
    for (const [index, one] of judged.entries()) {
      const { payment, attempt } = asked.get(attemptIds[index] ?? "") ?? {};
      const about = { correlationId: attempt?.correlationId, orderId: payment?.orderId };
      if (one instanceof Error) log(context.logger, about).error("webhook: a wrong amount", { ...one.data });
      else if (one.result === "unmatched")
        log(context.logger, about).error("webhook: about nothing that we asked for", {
          eventId: one.eventId,
          type: one.type,
        });
    }
    return judged.map((one) => (one instanceof Error ? one : { received: true }));
  });
}

function judge({ provider, event }: Received, asked: Asked | undefined): ReceivedRow | WebhookAmountError {
  const { eventId, type, about } = event;
  if (!about) return { provider, eventId, type, result: "ignored" };
  if (!asked || asked.attempt.operation !== about.operation)
    return { provider, eventId, type, result: "unmatched" };
  const { id: attemptId, amountMinor } = asked.attempt;
  const { result } = about;
  if (result.kind === "succeeded" && result.amountMinor !== amountMinor)
    return new WebhookAmountError(attemptId, amountMinor, result.amountMinor);
  return { provider, eventId, type, attemptId, result: "settled", answer: result };
}

async function settleFresh(
  context: PaymentContext,
  tx: Tx,
  rows: readonly ReceivedRow[],
  asked: ReadonlyMap<string, Asked>,
): Promise<void> {
  const answers = rows.flatMap(({ attemptId, answer }) =>
    attemptId && answer ? [{ attemptId, result: answer }] : [],
  );
  if (answers.length > 0) await settleAnswers(context, tx, answers, asked);
}
