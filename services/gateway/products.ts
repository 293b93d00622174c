import { UNITS_MAX } from "../../lib/params.ts";
import { bodyReader, text } from "./body-schema.ts";
import { claimIfKeyed } from "./idempotency-key.ts";
import { PAGE, readQuery, wholeNumber } from "./query.ts";
import { type ApiRequest, answerOf, type Call, idIn, ok, type Reply } from "./request.ts";

interface NewProduct {
  readonly sku: string;
  readonly name: string;
  readonly priceMinor: number;
  readonly currency: string;
  readonly stock: number;
}

const whole = (min: number) => ({ type: "number", integer: true, min, max: UNITS_MAX });

const readProduct = bodyReader<NewProduct>({
  sku: { type: "string", pattern: /^[\x21-\x7e]{1,64}$/ },
  name: text(200),
  priceMinor: whole(0),
  currency: { type: "string", pattern: /^[A-Z]{3}$/ },
  stock: whole(0),
});

const readAdjustment = bodyReader<{ delta: number; reason: string }>({
  delta: { ...whole(-UNITS_MAX), notEqual: 0 },
  reason: text(255),
});

const LOW_STOCK_DEFAULT = 10;
const LOW_STOCK_QUERY = { threshold: wholeNumber(0, 999_999_999), ...PAGE };

/** GET /products */
export async function listProducts(request: ApiRequest, call: Call): Promise<Reply> {
  return ok(await call("product.list", readQuery(request.query, PAGE)));
}

/** GET /products/:productId */
export async function getProduct(request: ApiRequest, call: Call): Promise<Reply> {
  return ok(await call("product.get", { productId: idIn(request, "productId", "product") }));
}

/** GET /products/low-stock: what has at most `threshold` available. */
export async function listLowStock(request: ApiRequest, call: Call): Promise<Reply> {
  const { threshold = LOW_STOCK_DEFAULT, ...page } = readQuery(request.query, LOW_STOCK_QUERY);
  return ok(await call("product.lowStock", { threshold, ...page }));
}

/** POST /products */
export async function createProduct(request: ApiRequest, call: Call): Promise<Reply> {
  const product = readProduct(request.body);
  const actor = request.principal.subject;
  const answer = await call("product.create", {
    ...product,
    actor,
    ...claimIfKeyed(request, "POST /products", product),
  });
  return answerOf(answer, { location: `/api/products/${answer.body.productId}` });
}

/** PUT /products/:productId/stock */
export async function adjustStock(request: ApiRequest, call: Call): Promise<Reply> {
  const params = { productId: idIn(request, "productId", "product"), ...readAdjustment(request.body) };
  const actor = request.principal.subject;
  const claim = claimIfKeyed(request, "PUT /products/:productId/stock", params);
  return answerOf(await call("product.adjust", { ...params, actor, ...claim }));
}
