import type { ProductView, Quote } from "../../lib/contracts.ts";
import { NotFoundError, RuleViolationError } from "../../lib/errors.ts";
import type { Line } from "../../lib/events.ts";

/**
 * Prices a basket. @returns the quote, or the NotFoundError / RuleViolationError that stands against it
 * (a product that does not exist, two currencies, a total beyond exact integers)
 */
export function quoteOf(items: readonly Line[], products: ReadonlyMap<string, ProductView>): Quote | Error {
  const priced = [];
  let totalMinor = 0;
  let currency = "";
  for (const { productId, quantity } of items) {
    const product = products.get(productId);
    if (!product) return new NotFoundError("product", productId);
    if (currency !== "" && currency !== product.currency) {
      return new RuleViolationError("An order has one currency.", "CURRENCY_MISMATCH", { productId });
    }
    currency = product.currency;
    totalMinor += product.priceMinor * quantity;
    priced.push({ productId, quantity, sku: product.sku, priceMinor: product.priceMinor });
  }
  if (!Number.isSafeInteger(totalMinor)) {
    return new RuleViolationError("The total is too large.", "TOTAL_TOO_LARGE");
  }
  return { items: priced, totalMinor, currency };
}
