import fc from "fast-check";
import type { OrderStatus, ProductView } from "../../lib/contracts.ts";
import { conflictOf, moveOf, type OrderCommand, totalOf } from "../../services/order/order.ts";
import { quoteOf } from "../../services/product/product.ts";

/** The order's legal moves, command by command and status by status, and what things cost. */

const STATUSES: readonly OrderStatus[] = [
  "draft",
  "created",
  "paying",
  "paid",
  "shipping",
  "completed",
  "cancelling",
  "cancelled",
];

/** ">status": it moves there. "again": carried out before, nothing to do. "no": refused. */
const EXPECTED: Readonly<Record<OrderCommand, readonly string[]>> = {
  //                   draft          created         paying      paid            shipping      completed  cancelling    cancelled
  confirm: [">created", "again", "again", "again", "again", "again", "again", "no"],
  startPaying: ["no", ">paying", "no", "no", "no", "no", "no", "no"],
  confirmPaid: ["no", "no", ">paid", "no", "no", "no", "no", "no"],
  abortPaying: ["no", "no", ">created", "no", "no", "no", "no", "no"],
  ship: ["no", "no", "no", ">shipping", "again", "no", "no", "no"],
  complete: ["no", "no", "no", "no", ">completed", "again", "no", "no"],
  requestCancellation: ["no", ">cancelling", "no", ">cancelling", "no", "no", "again", "no"],
  cancel: [">cancelled", "no", "no", "no", "no", "no", ">cancelled", "again"],
  expire: [">cancelled", ">cancelled", "no", "no", "no", "no", "no", "again"],
};

const COMMANDS: readonly OrderCommand[] = [
  "confirm",
  "startPaying",
  "confirmPaid",
  "abortPaying",
  "ship",
  "complete",
  "requestCancellation",
  "cancel",
  "expire",
];
const cases = COMMANDS.flatMap((command) =>
  STATUSES.map((status, index) => [command, status, EXPECTED[command][index] ?? ""] as const),
);

test.each(cases)("%s on an order that is %s: %s", (command, status, expected) => {
  const { from, to } = moveOf(command);
  if (expected.startsWith(">")) {
    expect(from).toContain(status);
    expect(`>${to}`).toBe(expected);
    return;
  }
  expect(from).not.toContain(status);
  const conflict = conflictOf(command, "order-1", status);
  if (expected === "again") expect(conflict).toBeUndefined();
  else
    expect(conflict).toMatchObject({
      type: "ORDER_STATE_CONFLICT",
      code: 409,
      retryable: false,
      data: { orderId: "order-1", status, command },
    });
});

test("every status is reached from a draft, and nothing leads out of the two ends", () => {
  const reached = new Set<OrderStatus>(["draft"]);
  for (let rounds = 0; rounds < STATUSES.length; rounds += 1) {
    for (const command of COMMANDS) {
      const { from, to } = moveOf(command);
      if (from.some((status) => reached.has(status))) reached.add(to);
    }
  }
  expect([...reached].sort()).toEqual([...STATUSES].sort());
  for (const end of ["completed", "cancelled"] as const)
    expect(COMMANDS.filter((command) => moveOf(command).from.includes(end))).toEqual([]);
});

test("the total is the sum of the lines, exact or refused", () => {
  expect(totalOf([])).toBe(0);
  expect(
    totalOf([
      { quantity: 3, priceMinor: 199 },
      { quantity: 1, priceMinor: 0 },
    ]),
  ).toBe(597);
  expect(totalOf([{ quantity: 1, priceMinor: Number.MAX_SAFE_INTEGER }])).toBe(Number.MAX_SAFE_INTEGER);
  expect(() => totalOf([{ quantity: 2, priceMinor: Number.MAX_SAFE_INTEGER }])).toThrow(RangeError);
});

const view = (productId: string, priceMinor: number, currency = "EUR"): ProductView => ({
  productId,
  sku: `SKU-${productId}`,
  name: productId,
  priceMinor,
  currency,
  available: 0,
  reserved: 0,
  sold: 0,
});
const catalogue = (...products: readonly ProductView[]) =>
  new Map(products.map((product) => [product.productId, product]));

test("a quote prices each line and sums them, whether or not the stock suffices", () => {
  const items = [
    { productId: "a", quantity: 2 },
    { productId: "b", quantity: 1 },
    { productId: "a", quantity: 1 },
  ];
  expect(quoteOf(items, catalogue(view("a", 100), view("b", 50)))).toEqual({
    items: [
      { productId: "a", quantity: 2, sku: "SKU-a", priceMinor: 100 },
      { productId: "b", quantity: 1, sku: "SKU-b", priceMinor: 50 },
      { productId: "a", quantity: 1, sku: "SKU-a", priceMinor: 100 },
    ],
    totalMinor: 350,
    currency: "EUR",
  });
});

test("a quote of a product that does not exist, of two currencies, or beyond exact integers is refused", () => {
  const items = [
    { productId: "a", quantity: 2 },
    { productId: "b", quantity: 1 },
  ];
  expect(quoteOf(items, catalogue(view("a", 1)))).toMatchObject({
    type: "PRODUCT_NOT_FOUND",
    data: { id: "b" },
  });
  expect(quoteOf(items, catalogue(view("a", 1), view("b", 1, "USD")))).toMatchObject({
    type: "CURRENCY_MISMATCH",
    data: { productId: "b" },
  });
  const dear = catalogue(view("a", Number.MAX_SAFE_INTEGER), view("b", 1));
  expect(quoteOf(items, dear)).toMatchObject({ type: "TOTAL_TOO_LARGE", code: 422 });
});

test("an order's total is its quote's, whatever is in the basket", () => {
  const basket = fc.array(
    fc.record({ productId: fc.constantFrom("a", "b"), quantity: fc.integer({ min: 1, max: 1_000_000 }) }),
    { minLength: 1, maxLength: 100 },
  );
  fc.assert(
    fc.property(basket, fc.nat(10_000_000), fc.nat(10_000_000), (items, priceA, priceB) => {
      const quote = quoteOf(items, catalogue(view("a", priceA), view("b", priceB)));
      if (quote instanceof Error) expect(quote).toMatchObject({ type: "TOTAL_TOO_LARGE" });
      else expect(totalOf(quote.items)).toBe(quote.totalMinor);
    }),
  );
});
