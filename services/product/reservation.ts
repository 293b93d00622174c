import type { Line } from "../../lib/events.ts";

/** Allocation of stock: pure. Orders are served in the order they came, each whole or not at all. */

export interface Wanted {
  readonly orderId: string;
  readonly items: readonly Line[];
}

export interface Shortage {
  readonly productId: string;
  readonly code: "OUT_OF_STOCK" | "PRODUCT_NOT_FOUND";
  readonly available: number;
  readonly requested: number;
}

export interface Allocation<Order extends Wanted> {
  readonly reserved: readonly Order[];
  readonly refused: readonly { readonly order: Order; readonly shortage: Shortage }[];
  /** How much is taken of each product. */
  readonly taken: ReadonlyMap<string, number>;
}

/** @param available what each existing product has left */
export function allocate<Order extends Wanted>(
  available: ReadonlyMap<string, number>,
  orders: readonly Order[],
): Allocation<Order> {
  const left = new Map(available);
  const taken = new Map<string, number>();
  const reserved: Order[] = [];
  const refused: { order: Order; shortage: Shortage }[] = [];
  for (const order of orders) {
    const shortage = shortageOf(left, order.items);
    if (shortage) {
      refused.push({ order, shortage });
      continue;
    }
    reserved.push(order);
    for (const [productId, quantity] of quantities(order.items)) {
      left.set(productId, (left.get(productId) ?? 0) - quantity);
      taken.set(productId, (taken.get(productId) ?? 0) + quantity);
    }
  }
  return { reserved, refused, taken };
}

function shortageOf(left: ReadonlyMap<string, number>, items: readonly Line[]): Shortage | undefined {
  for (const [productId, requested] of quantities(items)) {
    const available = left.get(productId);
    if (available === undefined) return { productId, code: "PRODUCT_NOT_FOUND", available: 0, requested };
    if (available < requested) return { productId, code: "OUT_OF_STOCK", available, requested };
  }
  return undefined;
}

/** Quantity per product: a product that stands in two lines counts once, with the sum. */
export function quantities(items: readonly Line[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const { productId, quantity } of items) sums.set(productId, (sums.get(productId) ?? 0) + quantity);
  return sums;
}
