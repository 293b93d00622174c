/** Double entry: pure. Money moves between accounts, so that what one gains another loses. */

/** Owed to us by the provider; sold; given back. */
export type Account = "psp_receivable" | "sales" | "refunds";

export interface LedgerEntry {
  /** The attempt that moved the money: posted once. */
  readonly postingId: string;
  readonly paymentId: string;
  readonly refundId?: string;
  readonly account: Account;
  readonly direction: "debit" | "credit";
  readonly amountMinor: number;
  readonly currency: string;
}

export interface Movement {
  readonly operation: "capture" | "refund";
  readonly attemptId: string;
  readonly paymentId: string;
  readonly refundId?: string;
  readonly amountMinor: number;
  readonly currency: string;
}

const ACCOUNTS: Readonly<
  Record<Movement["operation"], { readonly debit: Account; readonly credit: Account }>
> = {
  capture: { debit: "psp_receivable", credit: "sales" },
  refund: { debit: "refunds", credit: "psp_receivable" },
};

/** The posting of a movement. An authorisation moves nothing, so there is none for it. @throws RangeError */
export function postingOf(movement: Movement): readonly [LedgerEntry, LedgerEntry] {
  const { operation, attemptId: postingId, paymentId, refundId, amountMinor, currency } = movement;
  if (!Number.isSafeInteger(amountMinor) || amountMinor <= 0) {
    throw new RangeError(`${amountMinor} is not an amount that can be posted`);
  }
  const entry = { postingId, paymentId, refundId, amountMinor, currency };
  const { debit, credit } = ACCOUNTS[operation];
  return [
    { ...entry, account: debit, direction: "debit" },
    { ...entry, account: credit, direction: "credit" },
  ];
}
