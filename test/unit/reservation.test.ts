import fc from "fast-check";
import type { Line } from "../../lib/events.ts";
import { allocate, quantities } from "../../services/product/reservation.ts";

/** Allocation of stock: whole orders or nothing, in the order they came, never more than there is. */

const order = (orderId: string, ...items: readonly (readonly [string, number])[]) => ({
  orderId,
  items: items.map(([productId, quantity]) => ({ productId, quantity })),
});
const stock = (entries: Record<string, number>) => new Map(Object.entries(entries));
const idsOf = (orders: readonly { orderId: string }[]) => orders.map(({ orderId }) => orderId);

test("an order that finds all it wants is reserved whole", () => {
  const { reserved, refused, taken } = allocate(stock({ a: 5, b: 1 }), [order("1", ["a", 2], ["b", 1])]);
  expect(idsOf(reserved)).toEqual(["1"]);
  expect(refused).toEqual([]);
  expect(taken).toEqual(stock({ a: 2, b: 1 }));
});

test("an order that lacks one product takes nothing of the others", () => {
  const { reserved, refused, taken } = allocate(stock({ a: 5, b: 1 }), [order("1", ["a", 2], ["b", 2])]);
  expect(reserved).toEqual([]);
  expect(taken).toEqual(new Map());
  expect(refused).toMatchObject([
    {
      order: { orderId: "1" },
      shortage: { productId: "b", code: "OUT_OF_STOCK", available: 1, requested: 2 },
    },
  ]);
});

test("a product that stands in two lines counts with the sum", () => {
  const twice = order("1", ["a", 2], ["a", 2]);
  expect(allocate(stock({ a: 3 }), [twice]).refused).toMatchObject([
    { shortage: { productId: "a", available: 3, requested: 4 } },
  ]);
  expect(allocate(stock({ a: 4 }), [twice]).taken).toEqual(stock({ a: 4 }));
});

test("who comes first is served first, and what one leaves the next may have", () => {
  const orders = [order("1", ["a", 3]), order("2", ["a", 3]), order("3", ["a", 2])];
  const { reserved, refused, taken } = allocate(stock({ a: 5 }), orders);
  expect(idsOf(reserved)).toEqual(["1", "3"]);
  expect(refused).toMatchObject([{ order: { orderId: "2" }, shortage: { available: 2, requested: 3 } }]);
  expect(taken).toEqual(stock({ a: 5 }));
});

test("a product that does not exist is told as such, however much is wanted", () => {
  const { refused } = allocate(stock({ a: 5 }), [order("1", ["a", 1], ["ghost", 1])]);
  expect(refused).toMatchObject([
    { shortage: { productId: "ghost", code: "PRODUCT_NOT_FOUND", available: 0, requested: 1 } },
  ]);
});

test("a product that is sold out differs from one that does not exist", () => {
  const { refused } = allocate(stock({ a: 0 }), [order("1", ["a", 1])]);
  expect(refused).toMatchObject([{ shortage: { code: "OUT_OF_STOCK", available: 0 } }]);
});

const product: fc.Arbitrary<string> = fc.constantFrom("a", "b", "c", "d");
const baskets = fc.array(
  fc.array(fc.record({ productId: product, quantity: fc.integer({ min: 1, max: 6 }) }), {
    minLength: 1,
    maxLength: 5,
  }),
  { maxLength: 20 },
);
const shelves = fc.array(fc.tuple(product, fc.nat(20)), { maxLength: 4 }).map((entries) => new Map(entries));

const totals = (orders: readonly { items: readonly Line[] }[]) =>
  quantities(orders.flatMap(({ items }) => items));

test("whatever is asked: nobody gets more than there is, and taken is what the reserved orders want", () => {
  fc.assert(
    fc.property(shelves, baskets, (available, items) => {
      const orders = items.map((lines, index) => ({ orderId: String(index), items: lines }));
      const before = new Map(available);
      const { reserved, refused, taken } = allocate(available, orders);
      expect(available).toEqual(before);
      expect(taken).toEqual(totals(reserved));
      for (const [productId, quantity] of taken)
        expect(quantity).toBeLessThanOrEqual(available.get(productId) ?? 0);
      // Each order is one or the other, in the order it came.
      const outcomes = [...reserved, ...refused.map((one) => one.order)];
      expect(idsOf(outcomes).sort()).toEqual(idsOf(orders).sort());
      expect(reserved).toEqual(orders.filter((one) => reserved.includes(one)));
    }),
  );
});

test("whatever is asked: an order is refused only when what those before it left was not enough", () => {
  fc.assert(
    fc.property(shelves, baskets, (available, items) => {
      const orders = items.map((lines, index) => ({ orderId: String(index), items: lines }));
      const { reserved, refused } = allocate(available, orders);
      for (const { order: one, shortage } of refused) {
        const earlier = reserved.filter(({ orderId }) => Number(orderId) < Number(one.orderId));
        const exists = available.has(shortage.productId);
        const left =
          (available.get(shortage.productId) ?? 0) - (totals(earlier).get(shortage.productId) ?? 0);
        expect(shortage).toEqual({
          productId: shortage.productId,
          code: exists ? "OUT_OF_STOCK" : "PRODUCT_NOT_FOUND",
          available: exists ? left : 0,
          requested: quantities(one.items).get(shortage.productId),
        });
        expect(shortage.requested).toBeGreaterThan(left);
      }
    }),
  );
});
