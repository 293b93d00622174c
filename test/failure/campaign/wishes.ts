import { DEMO_PRODUCTS } from "../../../migrations/seeds/demo.ts";
import type { Random } from "../../support/random.ts";

/** What customers order, and what they pay with. */

export const METHODS = [
  ...Array<string>(12).fill("sim_ok"),
  "sim_declined",
  "sim_declined",
  "sim_capture_declined",
  "sim_capture_declined",
  "sim_timeout_after_effect",
  "sim_callback",
];
const NOTHING = "01990000-0000-7000-8000-00000000dead";

/** Mostly what succeeds, some of what does not: stock that runs out, unknown products. */
export function itemsOf(random: Random): { productId: string; quantity: number }[] {
  const { plenty, scarce, soldOut } = DEMO_PRODUCTS;
  const kind = random.next();
  const also = kind < 0.05 ? soldOut : kind < 0.2 ? scarce : kind < 0.23 ? NOTHING : undefined;
  const items = [{ productId: plenty, quantity: random.between(1, 3) }];
  return also === undefined ? items : [...items, { productId: also, quantity: 1 }];
}
