import type { Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";
import type { LedgerEntry } from "./ledger.ts";
import {
  type Asked,
  ATTEMPT_COLUMNS,
  type Attempt,
  type AttemptRow,
  askedOf,
  PAYMENT_COLUMNS,
  type Payment,
} from "./payment.store.ts";

/** SQL that writes down what the provider answered. */

// Both rows are locked: after a wait for the payment, the attempt is read as it then is.
const LOCK = statement(
  "settlement_lock",
  `select ${PAYMENT_COLUMNS}, ${ATTEMPT_COLUMNS}
   from payment_attempts a join payments p on p.id = a.payment_id
   where a.id = any($1)
   order by p.id, a.id for update of p, a`,
);

/** Locks attempts with their payments; answers them by the attempt's id. */
export async function lockAttempts(
  tx: Tx,
  attemptIds: readonly string[],
): Promise<ReadonlyMap<string, Asked>> {
  const rows = await tx.query<AttemptRow>(LOCK, [attemptIds]);
  return new Map(rows.map((row) => [row.attempt_id, askedOf(row)]));
}

const SAVE_ATTEMPTS = statement(
  "settlement_save_attempts",
  `update payment_attempts a
   set status = t.status, error_code = t.code, provider_reference = coalesce(t.reference, a.provider_reference),
       finished_at = case when t.status in ('succeeded', 'declined') then now() else a.finished_at end,
       next_at = case when t.status = 'unknown' and a.next_at is not null
                      then now() + t.delay * interval '1 millisecond' end
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[]) as t(id, status, code, reference, delay)
   where a.id = t.id`,
);

export interface SavedAttempt extends Attempt {
  readonly reference?: string;
  /** When the worker asks again, if it is the worker's. */
  readonly delayMs: number;
}

export function saveAttempts(tx: Tx, attempts: readonly SavedAttempt[]): void {
  if (attempts.length === 0) return;
  tx.send(SAVE_ATTEMPTS, [
    attempts.map(({ id }) => id),
    attempts.map(({ status }) => status),
    attempts.map(({ errorCode }) => errorCode),
    attempts.map(({ reference }) => reference ?? null),
    attempts.map(({ delayMs }) => delayMs),
  ]);
}

const SAVE_PAYMENTS = statement(
  "settlement_save_payments",
  `update payments p
   set status = t.status, intent = t.intent, held = t.held, captured_minor = t.captured, refunded_minor = t.refunded,
       refunding_minor = t.refunding, provider_reference = t.reference, error_code = t.code,
       event_version = t.version, updated_at = now()
   from unnest($1::uuid[], $2::text[], $3::text[], $4::bool[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[],
               $9::text[], $10::int[])
        as t(id, status, intent, held, captured, refunded, refunding, reference, code, version)
   where p.id = t.id`,
);

/** Writes payments whose rows this transaction has locked. */
export function savePayments(tx: Tx, payments: readonly Payment[]): void {
  if (payments.length === 0) return;
  tx.send(SAVE_PAYMENTS, [
    payments.map(({ id }) => id),
    payments.map(({ status }) => status),
    payments.map(({ intent }) => intent),
    payments.map(({ held }) => held),
    payments.map(({ capturedMinor }) => capturedMinor),
    payments.map(({ refundedMinor }) => refundedMinor),
    payments.map(({ refundingMinor }) => refundingMinor),
    payments.map(({ providerReference }) => providerReference),
    payments.map(({ errorCode }) => errorCode),
    payments.map(({ eventVersion }) => eventVersion),
  ]);
}

const END_AUTHORISATIONS = statement(
  "settlement_end_authorisations",
  `update payment_attempts set finished_at = now()
   where payment_id = any($1) and operation = 'authorise' and finished_at is null`,
);

/** What became of an authorisation that has been let go is nobody's question any more, be it heard of or not. */
export function endAuthorisations(tx: Tx, paymentIds: readonly string[]): void {
  if (paymentIds.length > 0) tx.send(END_AUTHORISATIONS, [paymentIds]);
}

const POST = statement(
  "ledger_post",
  `insert into ledger_entries (posting_id, payment_id, refund_id, account, direction, amount_minor, currency)
   select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[])`,
);

/** Appends postings; the table refuses any that is out of balance. */
export function postEntries(tx: Tx, entries: readonly LedgerEntry[]): void {
  if (entries.length === 0) return;
  tx.send(POST, [
    entries.map(({ postingId }) => postingId),
    entries.map(({ paymentId }) => paymentId),
    entries.map(({ refundId }) => refundId ?? null),
    entries.map(({ account }) => account),
    entries.map(({ direction }) => direction),
    entries.map(({ amountMinor }) => amountMinor),
    entries.map(({ currency }) => currency),
  ]);
}

const FIND_REFUNDS = statement("refund_find", "select id, saga_id from refunds where id = any($1)");

/** The cancellations that wait for these refunds; null where none does. Their payments are locked. */
export async function sagasOf(
  tx: Tx,
  refundIds: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  if (refundIds.length === 0) return new Map();
  const rows = await tx.query<{ id: string; saga_id: string | null }>(FIND_REFUNDS, [refundIds]);
  return new Map(rows.map(({ id, saga_id }) => [id, saga_id]));
}

const END_REFUNDS = statement(
  "refund_end",
  `update refunds r set status = t.status, finished_at = now()
   from unnest($1::uuid[], $2::text[]) as t(id, status) where r.id = t.id`,
);

export interface EndedRefund {
  readonly id: string;
  readonly status: "succeeded" | "failed";
}

export function endRefunds(tx: Tx, refunds: readonly EndedRefund[]): void {
  if (refunds.length > 0)
    tx.send(END_REFUNDS, [refunds.map(({ id }) => id), refunds.map(({ status }) => status)]);
}
