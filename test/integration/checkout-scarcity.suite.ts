import { ended, order, stockOf } from "../support/shop.ts";
import type { Shared } from "../support/use-system.ts";

/** More demand than there is. */
export function scarcity(shared: () => Shared): void {
  test("of 50 units goes to exactly 50 of 200 orders that come at once", async () => {
    const { system } = shared();
    const { scarce } = system.demo.products;
    await expect(stockOf(system, scarce)).resolves.toEqual({ available: 50, reserved: 0, sold: 0 });
    const placed = await Promise.all(
      Array.from({ length: 200 }, () => order(system, [{ productId: scarce, quantity: 1 }])),
    );
    expect(new Set(placed.map(({ orderId }) => orderId)).size).toBe(200);
    const orders = await Promise.all(placed.map(({ orderId }) => ended(system, orderId)));
    const tally = Map.groupBy(orders, ({ status, reason }) => `${status} ${reason?.code ?? ""}`.trim());
    expect(Object.fromEntries([...tally].map(([what, all]) => [what, all.length]))).toEqual({
      created: 50,
      "cancelled OUT_OF_STOCK": 150,
    });
    await expect(stockOf(system, scarce)).resolves.toEqual({ available: 0, reserved: 50, sold: 0 });
  });
}
