import type { ProductView } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of what staff does to products: new ones, and counted, received or returned stock. */

const INSERT = statement(
  "product_insert",
  `insert into products (id, sku, name, price_minor, currency, available, version)
   values ($1, $2, $3, $4, $5, $6, $7)
   on conflict (sku) do nothing
   returning id`,
);

/** Answers false when the SKU is taken. */
export async function insertProduct(
  tx: Tx,
  { productId, sku, name, priceMinor, currency, available }: ProductView,
  version: number,
): Promise<boolean> {
  const values = [productId, sku, name, priceMinor, currency, available, version];
  return (await tx.query(INSERT, values)).length > 0;
}

const INSERT_ADJUSTMENT = statement(
  "stock_adjustment_insert",
  "insert into stock_adjustments (id, product_id, delta, reason, actor) values ($1, $2, $3, $4, $5)",
);

export interface Adjustment {
  readonly id: string;
  readonly productId: string;
  readonly delta: number;
  readonly reason: string;
  readonly actor: string;
}

export function insertAdjustment(tx: Tx, { id, productId, delta, reason, actor }: Adjustment): void {
  tx.send(INSERT_ADJUSTMENT, [id, productId, delta, reason, actor]);
}

const ADJUST = statement(
  "product_adjust",
  `update products set available = available + $2, version = version + 1, updated_at = now()
   where id = $1 and available + $2 between 0 and $3
   returning id, sku, name, price_minor, currency, available, reserved, sold, version`,
);

interface AdjustedRow extends Omit<ProductView, "productId" | "priceMinor"> {
  id: string;
  price_minor: number;
  version: number;
}

export interface Adjusted {
  readonly product: ProductView;
  /** Of the event that tells of it. */
  readonly version: number;
}

/** Changes what is available; undefined when there is no such product or the result would leave 0..`unitsMax`. */
export async function adjustAvailable(
  tx: Tx,
  productId: string,
  delta: number,
  unitsMax: number,
): Promise<Adjusted | undefined> {
  const [row] = await tx.query<AdjustedRow>(ADJUST, [productId, delta, unitsMax]);
  if (!row) return undefined;
  const { id, price_minor: priceMinor, version, ...rest } = row;
  return { product: { productId: id, priceMinor, ...rest }, version };
}
