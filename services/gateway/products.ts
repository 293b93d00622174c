import { UNITS_MAX } from "../../lib/params.ts";
import { bodyReader, currency, text } from "./body-schema.ts";
import { claimIfKeyed } from "./idempotency-key.ts";
import { PAGE, type QueryOf, wholeNumber } from "./query.ts";
import { type ApiRequest, answerOf, type Call, idIn, ok, type Reply } from "./request.ts";

interface NewProduct {
  readonly sku: string;
  readonly name: string;
  readonly priceMinor: number;
  readonly currency: string;
  readonly stock: number;
}

const whole = (min: number) => ({ type: "number", integer: true, min, max: UNITS_MAX });

export const productBody = bodyReader<NewProduct>({
  sku: { type: "string", pattern: /^[\x21-\x7e]{1,64}$/, json: { examples: ["MALLET-1"] } },
  name: { ...text(200), json: { examples: ["Wooden mallet"] } },
  priceMinor: { ...whole(0), json: { examples: [2_450] } },
  currency,
  stock: { ...whole(0), json: { examples: [480] } },
});

interface Adjustment {
  readonly delta: number;
  readonly reason: string;
}

export const adjustmentBody = bodyReader<Adjustment>({
  delta: { ...whole(-UNITS_MAX), notEqual: 0, json: { examples: [20] } },
  reason: text(255),
});

const LOW_STOCK_DEFAULT = 10;
export const LOW_STOCK_QUERY = { threshold: wholeNumber(0, 999_999_999), ...PAGE };

/** GET /products */
export async function listProducts(
  { query }: ApiRequest<undefined, QueryOf<typeof PAGE>>,
  call: Call,
): Promise<Reply> {
  return ok(await call("product.list", query));
}

/** GET /products/:productId */
export async function getProduct(request: ApiRequest, call: Call): Promise<Reply> {
  return ok(await call("product.get", { productId: idIn(request, "productId", "product") }));
}

/** GET /products/low-stock: what has at most `threshold` available. */
export async function listLowStock(
  { query }: ApiRequest<undefined, QueryOf<typeof LOW_STOCK_QUERY>>,
  call: Call,
): Promise<Reply> {
  const { threshold = LOW_STOCK_DEFAULT, ...page } = query;
  return ok(await call("product.lowStock", { threshold, ...page }));
}

/** POST /products */
export async function createProduct(request: ApiRequest<NewProduct>, call: Call): Promise<Reply> {
  const { body: product } = request;
  const actor = request.principal.subject;
  const answer = await call("product.create", {
    ...product,
    actor,
    ...claimIfKeyed(request, "POST /products", product),
  });
  return answerOf(answer, { location: `/api/products/${answer.body.productId}` });
}

/** PUT /products/:productId/stock */
export async function adjustStock(request: ApiRequest<Adjustment>, call: Call): Promise<Reply> {
  const params = { productId: idIn(request, "productId", "product"), ...request.body };
  const actor = request.principal.subject;
  const claim = claimIfKeyed(request, "PUT /products/:productId/stock", params);
  return answerOf(await call("product.adjust", { ...params, actor, ...claim }));
}
