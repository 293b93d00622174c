import { Op } from "sequelize";
import type { Batcher } from "../../lib/batcher.ts";
import type { IdempotencyClaim, IdempotentAnswer, ProductView } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { PAGE_SIZE, pageOf, readCursor } from "../../lib/page.ts";
import { actor, claimRules, cursor, limit, UNITS_MAX, uuid } from "../../lib/params.ts";
import type { OneRequest } from "../../mixins/idempotency.mixin.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import type { ReadAdapter } from "../../mixins/read-model.mixin.ts";
import { adjustStock, type CatalogueContext, createProduct } from "./catalogue.commands.ts";
import type { ProductModel } from "./product.model.ts";

interface CatalogueVars {
  adapter: ReadAdapter<ProductModel>;
  find: Batcher<string, ProductView | undefined>;
  enqueueEvents(tx: Tx, events: readonly NewEvent[]): void;
  onceAlone<Body>(request: OneRequest<Body>): Promise<IdempotentAnswer<Body>>;
}

const price = { type: "number", integer: true, min: 0, max: UNITS_MAX } as const;
const idempotency = { ...claimRules, optional: true } as const;

/** The catalogue as staff sees it. Needs the outbox, idempotency and read-model mixins. */
export const catalogue = () =>
  defineMixin<CatalogueVars>()({
    methods: {
      /** Once under its key, in one transaction; answers the product as it then is. */
      change(
        status: number,
        claim: IdempotencyClaim | undefined,
        correlationId: string,
        work: (tx: Tx, context: CatalogueContext) => Promise<ProductView>,
      ): Promise<IdempotentAnswer<ProductView>> {
        const context = { enqueueEvents: this.enqueueEvents, correlationId };
        return this.onceAlone({
          claim,
          perform: async (tx) => ({ status, headers: {}, body: await work(tx, context) }),
        });
      },
    },
    actions: {
      /** @throws SKU_TAKEN, IDEMPOTENCY_KEY_REUSED */
      create: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          sku: { type: "string", min: 1, max: 64 },
          name: { type: "string", min: 1, max: 200 },
          priceMinor: price,
          currency: { type: "string", pattern: /^[A-Z]{3}$/ },
          stock: { type: "number", integer: true, min: 0, max: UNITS_MAX },
          actor,
          idempotency,
        },
        handler(ctx: ActionContext<"product.create">) {
          const { idempotency: claim, ...params } = ctx.params;
          const correlationId = ctx.meta.correlationId ?? ctx.id;
          return this.change(201, claim, correlationId, (tx, context) => createProduct(tx, context, params));
        },
      },
      /** Stock is counted, received or returned. @throws PRODUCT_NOT_FOUND, STOCK_OUT_OF_RANGE, IDEMPOTENCY_KEY_REUSED */
      adjust: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          productId: uuid,
          delta: { type: "number", integer: true, min: -UNITS_MAX, max: UNITS_MAX, notEqual: 0 },
          reason: { type: "string", min: 1, max: 255 },
          actor,
          idempotency,
        },
        handler(ctx: ActionContext<"product.adjust">) {
          const { idempotency: claim, ...params } = ctx.params;
          const correlationId = ctx.meta.correlationId ?? ctx.id;
          return this.change(200, claim, correlationId, (tx, context) => adjustStock(tx, context, params));
        },
      },
      /** Products with at most `threshold` available, in the order they were created. @throws CURSOR_INVALID */
      lowStock: {
        callers: ["gateway"],
        params: {
          $$strict: true,
          threshold: { type: "number", integer: true, min: 0, max: UNITS_MAX },
          limit,
          cursor,
        },
        async handler(ctx: ActionContext<"product.lowStock">) {
          const { threshold, limit: size = PAGE_SIZE, cursor: after } = ctx.params;
          // No index on `available`: every reservation would have to write it. The list is short and seldom asked for.
          const query = {
            available: { [Op.lte]: threshold },
            ...(after && { id: { [Op.gt]: readCursor(after) } }),
          };
          const found = await this.adapter.find({ query, sort: "id", limit: size + 1 });
          const { rows, nextCursor } = pageOf(found, size);
          const items = await Promise.all(rows.map(({ id }) => this.find(id)));
          return { items: items.filter((item) => item !== undefined), ...(nextCursor && { nextCursor }) };
        },
      },
    },
  });
