/**
 * kill -9 at exact places of paying an order and of cancelling a paid one: of the coordinator between its steps, of
 * each participant just before and just after each of its commits, with the provider's answer known or not. Everything
 * runs in one process here, so all of it dies at once, PostgreSQL too. The next process brings it to its one right end. A run
 * takes the corners and some of the rest, drawn by seed (TEST_SEED); PAY_CRASH=all takes them all.
 */
import { FLOWS } from "../support/flows.ts";
import { type MortalSystem, SHORT_LEASES, startMortal } from "../support/mortal-system.ts";
import { seededRandom } from "../support/random.ts";

type FlowName = keyof typeof FLOWS;

const both = (commit: string) => [`${commit}.before-commit`, `${commit}.after-commit`];

const PLACES: Readonly<Partial<Record<FlowName, readonly string[]>>> = {
  pay: [
    "saga.payOrder.tcc_insert.after-commit",
    ...both("payment.try.payment_insert_attempts"),
    "psp.authorise.psp_insert_charges.after-commit",
    // The first outcome that is written down is the authorisation's.
    ...both("payment.settle.outbox_append"),
    ...both("order.tryPay.order_insert_history"),
    ...both("product.stock.try.hold_take"),
    // All tries are done: the decision.
    ...both("engine-saves.tcc_save"),
    ...both("payment.confirm.payment_insert_attempts"),
    "psp.operate.psp_update_charges.after-commit",
    // The second is the capture's.
    ...both("payment.settle.outbox_append").map((point) => `${point}@2`),
    // Between the confirms.
    "call.order.confirmPay.before-send",
    ...both("order.confirmPay.outbox_append"),
    ...both("product.stock.confirm.outbox_append"),
    // The second is the end.
    "engine-saves.tcc_save.before-commit@2",
  ],
  "pay, capture declined": [
    "psp.operate.psp_insert_operations.after-commit",
    // The provider's refusal turns the decision into a cancellation.
    ...both("engine-saves.tcc_save").map((point) => `${point}@2`),
    ...both("payment.cancel.payment_insert_attempts"),
    "psp.operate.psp_update_charges.after-commit",
    // Voided: the attempt to authorise is over with it.
    ...both("payment.settle.settlement_end_authorisations"),
    ...both("order.cancelPay.order_without_stock"),
    ...both("product.stock.cancel.hold_end"),
    "engine-saves.tcc_save.before-commit@3",
  ],
  "cancel paid": [
    "order.requestCancellation.order_before.after-commit",
    ...both("product-service-group.outbox_append"),
    "payment-service-group.settlement_save_payments.after-commit",
    // The money is on its way back, and only the provider knows.
    "psp.operate.psp_update_charges.after-commit",
    "order.cancel.outbox_append.after-commit",
  ],
};

/** Run always: after the tries, after the decision, between the confirms, while cancelling, and money in between. */
const ALWAYS: ReadonlySet<string> = new Set([
  "pay engine-saves.tcc_save.before-commit",
  "pay engine-saves.tcc_save.after-commit",
  "pay psp.operate.psp_update_charges.after-commit",
  "pay call.order.confirmPay.before-send",
  "pay, capture declined engine-saves.tcc_save.after-commit@2",
  "cancel paid psp.operate.psp_update_charges.after-commit",
]);
/** Of the rest: a death and its recovery take 4 to 6 s. */
const DRAWN = 3;

const random = seededRandom("pay-crash");
const every = Object.entries(PLACES).flatMap(([flow, places]) =>
  places.map((at) => ({ flow: flow as FlowName, at, order: random.next() })),
);
const isAlways = ({ flow, at }: (typeof every)[number]) => ALWAYS.has(`${flow} ${at}`);
const drawn = every
  .filter((one) => !isAlways(one))
  .sort((one, other) => one.order - other.order)
  .slice(0, process.env.PAY_CRASH === "all" ? every.length : DRAWN);
const cases = [...every.filter(isAlways), ...drawn];
let mortal: MortalSystem;
let recoveredMsMax = 0;

beforeAll(async () => {
  mortal = await startMortal(SHORT_LEASES);
}, 60_000);
afterAll(async () => {
  process.stderr.write(
    `pay-crash: ${cases.length} of ${every.length} deaths, longest recovery ${recoveredMsMax} ms\n`,
  );
  await mortal?.stop();
}, 60_000);

test.each(cases.map((one, index) => ({ ...one, next: cases[index + 1]?.at })))(
  "$flow, killed at $at",
  async ({ flow, at, next }) => {
    const { met, recoveredMs } = await mortal.through(FLOWS[flow], { at, next });
    expect({ met, violations: await mortal.violations() }).toEqual({ met: true, violations: [] });
    recoveredMsMax = Math.max(recoveredMsMax, recoveredMs);
  },
  120_000,
);
