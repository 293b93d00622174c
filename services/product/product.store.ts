import type { ProductView } from "../../lib/contracts.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { statement } from "../../lib/statement.ts";

/** SQL of products and their stock. */

interface ProductRow {
  id: string;
  sku: string;
  name: string;
  price_minor: number;
  currency: string;
  available: number;
  reserved: number;
  sold: number;
}

const FIND = statement(
  "product_find",
  "select id, sku, name, price_minor, currency, available, reserved, sold from products where id = any($1)",
);

/** Products by id; those that do not exist are missing. */
export async function findProducts(
  database: Database,
  productIds: readonly string[],
): Promise<ReadonlyMap<string, ProductView>> {
  const rows = await database.query<ProductRow>(FIND, [productIds]);
  return new Map(
    rows.map(({ id, price_minor, ...row }) => [id, { productId: id, priceMinor: price_minor, ...row }]),
  );
}

// In id order, as everything that locks products does: two transactions wait in one direction only.
const LOCK = statement(
  "product_lock",
  "select id, available from products where id = any($1) order by id for update",
);

/** Locks products; answers what each has available. */
export async function lockStock(tx: Tx, productIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const rows = await tx.query<{ id: string; available: number }>(LOCK, [[...productIds].sort()]);
  return new Map(rows.map(({ id, available }) => [id, available]));
}

/** Locks them where nobody needs to know what they have. */
export function lockProducts(tx: Tx, productIds: readonly string[]): void {
  if (productIds.length > 0) tx.send(LOCK, [[...productIds].sort()]);
}

// The allocation was made under the row locks; the condition stands guard all the same, so that no mistake
// in it could ever oversell.
const TAKE = statement(
  "product_take",
  `update products p set available = p.available - t.quantity, reserved = p.reserved + t.quantity, updated_at = now()
   from unnest($1::uuid[], $2::bigint[]) as t(id, quantity)
   where p.id = t.id and p.available >= t.quantity
   returning p.id`,
);

/** available -> reserved. @throws RangeError when a product has less than that: the transaction must not commit */
export async function takeStock(tx: Tx, taken: ReadonlyMap<string, number>): Promise<void> {
  if (taken.size === 0) return;
  const rows = await tx.query(TAKE, [[...taken.keys()], [...taken.values()]]);
  if (rows.length !== taken.size) throw new RangeError("less stock than was allocated");
}

const GIVE_BACK = statement(
  "product_give_back",
  `update products p set available = p.available + t.quantity, reserved = p.reserved - t.quantity, updated_at = now()
   from unnest($1::uuid[], $2::bigint[]) as t(id, quantity)
   where p.id = t.id`,
);

/** reserved -> available. The products must be locked. */
export function giveBackStock(tx: Tx, given: ReadonlyMap<string, number>): void {
  if (given.size > 0) tx.send(GIVE_BACK, [[...given.keys()], [...given.values()]]);
}

const TAKE_BACK = statement(
  "product_take_back",
  `update products p set available = p.available + t.quantity, sold = p.sold - t.quantity, updated_at = now()
   from unnest($1::uuid[], $2::bigint[]) as t(id, quantity)
   where p.id = t.id`,
);

/** sold -> available: the sale is undone. The products must be locked. */
export function takeBackSold(tx: Tx, back: ReadonlyMap<string, number>): void {
  if (back.size > 0) tx.send(TAKE_BACK, [[...back.keys()], [...back.values()]]);
}

const SELL = statement(
  "product_sell",
  `update products p set reserved = p.reserved - t.quantity, sold = p.sold + t.quantity, updated_at = now()
   from unnest($1::uuid[], $2::bigint[]) as t(id, quantity)
   where p.id = t.id`,
);

/** reserved -> sold. The products must be locked. */
export function sellStock(tx: Tx, sold: ReadonlyMap<string, number>): void {
  if (sold.size > 0) tx.send(SELL, [[...sold.keys()], [...sold.values()]]);
}
