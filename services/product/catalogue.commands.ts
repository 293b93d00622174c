import type { Actions } from "../../lib/actions.ts";
import type { ProductView } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { NotFoundError, StateConflictError } from "../../lib/errors.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { UNITS_MAX } from "../../lib/params.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import { adjustAvailable, insertAdjustment, insertProduct } from "./catalogue.store.ts";
import { lockStock } from "./product.store.ts";

/** What staff does to products. Every unit that comes or goes is a row of stock_adjustments and an event. */

type Create = Omit<Actions["product.create"]["params"], "idempotency">;
type Adjust = Omit<Actions["product.adjust"]["params"], "idempotency">;

export interface CatalogueContext {
  readonly enqueueEvents: (tx: Tx, events: readonly NewEvent[]) => void;
  readonly correlationId: string;
}

/** @throws SKU_TAKEN */
export async function createProduct(
  tx: Tx,
  context: CatalogueContext,
  { actor, stock, ...described }: Create,
): Promise<ProductView> {
  const product = { productId: uuidv7(), ...described, available: stock, reserved: 0, sold: 0 };
  const told = stock > 0 ? 1 : 0;
  if (!(await insertProduct(tx, product, told))) {
    throw new StateConflictError("There is a product with this SKU.", "SKU_TAKEN", { sku: product.sku });
  }
  if (told > 0) {
    const { productId } = product;
    const adjustment = { id: uuidv7(), productId, delta: stock, reason: "initial stock", actor };
    insertAdjustment(tx, adjustment);
    context.enqueueEvents(tx, [adjusted(adjustment, stock, told, context.correlationId)]);
  }
  return product;
}

/** @throws PRODUCT_NOT_FOUND, STOCK_OUT_OF_RANGE */
export async function adjustStock(
  tx: Tx,
  context: CatalogueContext,
  { productId, delta, reason, actor }: Adjust,
): Promise<ProductView> {
  const done = await adjustAvailable(tx, productId, delta, UNITS_MAX);
  if (!done) throw await refusalOf(tx, productId, delta);
  const adjustment = { id: uuidv7(), productId, delta, reason, actor };
  insertAdjustment(tx, adjustment);
  const { product, version } = done;
  context.enqueueEvents(tx, [adjusted(adjustment, product.available, version, context.correlationId)]);
  return product;
}

async function refusalOf(tx: Tx, productId: string, delta: number): Promise<Error> {
  const available = (await lockStock(tx, [productId])).get(productId);
  if (available === undefined) return new NotFoundError("product", productId);
  const message = `${available} are available: a change by ${delta} would leave 0 to ${UNITS_MAX}.`;
  return new StateConflictError(message, "STOCK_OUT_OF_RANGE", { productId, available, delta });
}

function adjusted(
  { productId, delta, reason }: { productId: string; delta: number; reason: string },
  available: number,
  aggregateVersion: number,
  correlationId: string,
): NewEvent<"STOCK_ADJUSTED"> {
  const data = { productId, delta, available, reason };
  return { type: "STOCK_ADJUSTED", aggregateId: productId, aggregateVersion, correlationId, data };
}
