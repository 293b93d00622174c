import fc from "fast-check";
import type { PaymentStatus } from "../../lib/contracts.ts";
import { type LedgerEntry, type Movement, postingOf } from "../../services/payment/ledger.ts";
import {
  type AttemptState,
  isFinal,
  moved,
  type PaymentMove,
  type PaymentState,
  refundable,
  settle,
} from "../../services/payment/payment.ts";
import type { Operation, ProviderResult } from "../../services/payment/psp/port.ts";

/** Debits less credits per account and currency. All of them together are 0. */
function balances(entries: readonly LedgerEntry[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { account, direction, amountMinor, currency } of entries) {
    const name = `${account} ${currency}`;
    sums.set(name, (sums.get(name) ?? 0) + (direction === "debit" ? amountMinor : -amountMinor));
  }
  return sums;
}

/** The payment's legal moves one by one, and what any order of a provider's answers makes of it. */

const STATUSES: readonly PaymentStatus[] = [
  "initiated",
  "reserved",
  "captured",
  "failed",
  "voided",
  "refunded",
  "partially_refunded",
];

const NO = undefined;
const PART = "partially_refunded";
const EXPECTED: Readonly<Record<PaymentMove, readonly (PaymentStatus | undefined)[]>> = {
  //           initiated    reserved    captured   failed voided refunded partially_refunded
  reserve: ["reserved", NO, NO, NO, NO, NO, NO],
  refuse: ["failed", "failed", NO, NO, NO, NO, NO],
  capture: [NO, "captured", NO, NO, NO, NO, NO],
  void: ["voided", "voided", NO, NO, NO, NO, NO],
  refundPart: [NO, NO, PART, NO, NO, NO, PART],
  refundAll: [NO, NO, "refunded", NO, NO, NO, "refunded"],
};
const MOVES: readonly PaymentMove[] = ["reserve", "refuse", "capture", "void", "refundPart", "refundAll"];

test.each(MOVES)("%s leads where it should, and nowhere else", (move) => {
  expect(STATUSES.map((status) => moved(status, move))).toEqual(EXPECTED[move]);
});

const initiated: PaymentState = {
  status: "initiated",
  intent: null,
  held: true,
  amountMinor: 100,
  capturedMinor: 0,
  refundedMinor: 0,
  refundingMinor: 0,
};
const attempt = (operation: Operation, amountMinor = 100): AttemptState => ({
  operation,
  status: "pending",
  amountMinor,
  errorCode: null,
});
const succeeded: ProviderResult = { kind: "succeeded", reference: "ref", amountMinor: 100 };
const declined: ProviderResult = { kind: "declined", code: "NO" };
const unknown: ProviderResult = { kind: "unknown", code: "PSP_TIMEOUT" };

test("an answer that is not known changes the attempt alone", () => {
  const { payment, attempt: after, effect } = settle(initiated, attempt("authorise"), unknown);
  expect(payment).toBe(initiated);
  expect(after).toMatchObject({ status: "unknown", errorCode: "PSP_TIMEOUT" });
  expect(effect).toBeUndefined();
});

test("an authorisation that comes after its cancel is let go again", () => {
  const cancelled: PaymentState = { ...initiated, status: "voided", intent: "void", held: false };
  const settled = settle(cancelled, attempt("authorise"), succeeded);
  expect(settled).toMatchObject({ releaseAgain: true, payment: { status: "voided", held: true } });
  expect(settled.effect).toBeUndefined();
  expect(settle(cancelled, attempt("authorise"), declined)).toMatchObject({ payment: cancelled });
});

test.each([
  ["", "DECLINED"],
  ["X".repeat(1_000), "X".repeat(255)],
])("a provider's code that no event could carry is mended", (code, errorCode) => {
  expect(settle(initiated, attempt("authorise"), { kind: "declined", code }).attempt.errorCode).toBe(
    errorCode,
  );
});

test("a refused capture leaves the authorisation to be voided", () => {
  const reserved: PaymentState = { ...initiated, status: "reserved", intent: "capture" };
  const settled = settle(reserved, attempt("capture"), declined);
  expect(settled).toMatchObject({
    effect: "failed",
    payment: { status: "failed", intent: null, held: true },
  });
  const voided = settle({ ...settled.payment, intent: "void" }, attempt("void"), succeeded);
  expect(voided.payment).toMatchObject({ status: "failed", held: false });
});

test("an answer that contradicts an earlier one raises an alarm and changes nothing", () => {
  const done: AttemptState = { ...attempt("authorise"), status: "succeeded" };
  const settled = settle({ ...initiated, status: "reserved" }, done, declined);
  expect(settled).toMatchObject({ attempt: done, payment: { status: "reserved" } });
  expect(settled.alarm).toContain("succeeded");
});

const result = fc.constantFrom(succeeded, declined, unknown);
const operation = fc.constantFrom<Operation>("authorise", "capture", "void", "refund");
const state: fc.Arbitrary<PaymentState> = fc
  .record({
    status: fc.constantFrom(...STATUSES),
    intent: fc.constantFrom("capture" as const, "void" as const, null),
    held: fc.boolean(),
    amountMinor: fc.integer({ min: 1, max: 1_000 }),
    refunded: fc.nat(1_000),
    refunding: fc.nat(1_000),
  })
  .map(({ refunded, refunding, ...some }) => {
    const captured = ["captured", "refunded", "partially_refunded"].includes(some.status);
    const capturedMinor = captured ? some.amountMinor : 0;
    const refundedMinor = Math.min(refunded, capturedMinor);
    const refundingMinor = Math.min(refunding, capturedMinor - refundedMinor);
    return { ...some, capturedMinor, refundedMinor, refundingMinor };
  });

test("whatever is answered, no more is given back than was taken, and no more taken than was asked for", () => {
  fc.assert(
    fc.property(state, operation, result, (payment, asked, answer) => {
      const amount = asked === "refund" ? payment.refundingMinor : payment.amountMinor;
      const { payment: after } = settle(payment, attempt(asked, amount), answer);
      expect(after.capturedMinor).toBeLessThanOrEqual(after.amountMinor);
      expect(after.refundingMinor).toBeGreaterThanOrEqual(0);
      expect(refundable(after)).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("settling an answer again changes nothing and raises no alarm", () => {
  fc.assert(
    fc.property(state, operation, result, (payment, asked, answer) => {
      const first = settle(payment, attempt(asked), answer);
      const again = settle(first.payment, first.attempt, answer);
      if (!isFinal(first.attempt.status)) return;
      expect(again).toEqual({ attempt: first.attempt, payment: first.payment });
    }),
  );
});

const movement: fc.Arbitrary<Movement> = fc.record({
  operation: fc.constantFrom("capture" as const, "refund" as const),
  attemptId: fc.uuid(),
  paymentId: fc.uuid(),
  amountMinor: fc.integer({ min: 1, max: 1_000_000_000 }),
  currency: fc.constantFrom("EUR", "USD", "JPY"),
});

test("any postings are in balance, one by one and together", () => {
  fc.assert(
    fc.property(fc.array(movement, { maxLength: 50 }), (movements) => {
      const postings = movements.map(postingOf);
      for (const [debit, credit] of postings) {
        expect([debit.direction, credit.direction]).toEqual(["debit", "credit"]);
        expect(debit.amountMinor).toBe(credit.amountMinor);
        expect(debit.account).not.toBe(credit.account);
      }
      const all: LedgerEntry[] = postings.flat();
      for (const currency of ["EUR", "USD", "JPY"]) {
        const own = all.filter((entry) => entry.currency === currency);
        expect([...balances(own).values()].reduce((sum, one) => sum + one, 0)).toBe(0);
      }
    }),
  );
});

test("what the provider owes us is what was captured less what was refunded", () => {
  fc.assert(
    fc.property(fc.array(movement, { maxLength: 50 }), (movements) => {
      const owed = balances(movements.flatMap(postingOf)).get("psp_receivable EUR") ?? 0;
      const expected = movements
        .filter(({ currency }) => currency === "EUR")
        .reduce((sum, one) => sum + (one.operation === "capture" ? one.amountMinor : -one.amountMinor), 0);
      expect(owed).toBe(expected);
    }),
  );
});

test.each([0, -1, 1.5, Number.NaN, 2 ** 53])("an amount of %d is not posted", (amountMinor) => {
  const one = { operation: "capture", attemptId: "a", paymentId: "p", amountMinor, currency: "EUR" } as const;
  expect(() => postingOf(one)).toThrow(RangeError);
});
