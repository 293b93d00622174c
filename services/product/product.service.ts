import { Op, type WhereOptions } from "sequelize";
import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import { config } from "../../lib/config.ts";
import type { ProductView, Quote } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { type ActionContext, defineService } from "../../lib/define.ts";
import { NotFoundError } from "../../lib/errors.ts";
import { type DomainEvent, type Line, TOPICS } from "../../lib/events.ts";
import { log } from "../../lib/logging.ts";
import { PAGE_SIZE, pageOf, readCursor } from "../../lib/page.ts";
import { cursor, limit, lines, uuid } from "../../lib/params.ts";
import { createPoller, type Poller } from "../../lib/poller.ts";
import { auditTrail } from "../../mixins/audit-trail.mixin.ts";
import { database } from "../../mixins/database.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { inbox } from "../../mixins/inbox.mixin.ts";
import { outbox } from "../../mixins/outbox.mixin.ts";
import { readModel } from "../../mixins/read-model.mixin.ts";
import { retention } from "../../mixins/retention.mixin.ts";
import type { TccOp } from "../../mixins/tcc-barrier.store.ts";
import { tccParticipant } from "../../mixins/tcc-participant.mixin.ts";
import { catalogue } from "./catalogue.mixin.ts";
import { expireReservations, settleOverdueHolds } from "./expiry.ts";
import { applyHolds, HOLD_ANSWERS, type HoldAnswer, type HoldRequest } from "./hold.commands.ts";
import { lockHeads } from "./hold.store.ts";
import { defineProductModel, type ProductModel } from "./product.model.ts";
import { findProducts } from "./product.store.ts";
import { quoteOf } from "./product.ts";
import { releaseStock, reserveStock } from "./stock.commands.ts";

interface ProductVars {
  find: Batcher<string, ProductView | undefined>;
  quote: Batcher<readonly Line[], Quote>;
  hold: Readonly<Record<TccOp, Batcher<HoldRequest, HoldAnswer>>>;
  expiry: Poller;
}

const OLDEST_FIRST = "id";

/** Products, their prices and their stock. */
export default defineService<ProductVars>()({
  name: "product",
  mixins: [
    readModel<ProductModel>("product", defineProductModel),
    inbox({
      group: "product-service-group",
      topics: [TOPICS.sagaCommands.name],
      types: ["RESERVE_STOCK", "RELEASE_STOCK"],
    }),
    catalogue(),
    tccParticipant("product"),
    auditTrail("product"),
    idempotency(),
    outbox("product"),
    retention("product"),
    database("product"),
  ],
  methods: {
    async applyEvents(tx: Tx, events: readonly DomainEvent[]): Promise<void> {
      const reservations = events.flatMap((event) =>
        event.eventType === "RESERVE_STOCK" ? [commandOf(event)] : [],
      );
      const releases = events.flatMap((event) =>
        event.eventType === "RELEASE_STOCK" ? [commandOf(event)] : [],
      );
      // Reservations first: an order with both in one batch ends released either way.
      const told = [
        ...(reservations.length > 0
          ? await reserveStock(tx, reservations, config().RESERVATION_TTL_SECONDS)
          : []),
        ...(releases.length > 0 ? await releaseStock(tx, releases) : []),
      ];
      this.enqueueEvents(tx, told);
      tx.afterCommit(() => {
        for (const { type, correlationId, aggregateId: orderId, data } of told) {
          const sagaId = "sagaId" in data ? data.sagaId : undefined;
          log(this.logger, { correlationId, orderId, sagaId }).info("stock", { told: type });
        }
      });
    },
    async holdAll(op: TccOp, requests: readonly HoldRequest[]): Promise<(HoldAnswer | Error)[]> {
      const ttlSeconds = config().RESERVATION_TTL_SECONDS;
      return this.transaction((tx) => {
        // In the round trip of the barrier's rows, after them. A cancel has more rows to enter first.
        let heads: ReturnType<typeof lockHeads> | undefined;
        const answers = this.participate(
          tx,
          op,
          requests,
          (first) => applyHolds(tx, op, first, this.enqueueEvents, ttlSeconds, heads),
          ({ orderId }): HoldAnswer => ({ orderId, status: HOLD_ANSWERS.cancel }),
          ({ orderId }): HoldAnswer => ({ orderId, status: HOLD_ANSWERS[op] }),
        );
        if (op !== "cancel")
          heads = lockHeads(tx, [...new Set(requests.map(({ orderId }) => orderId))].sort());
        heads?.catch(() => undefined);
        return answers;
      });
    },
    async expireReservations(): Promise<boolean> {
      const context = { broker: this.broker, database: this.database, enqueueEvents: this.enqueueEvents };
      await settleOverdueHolds(context, (request) => this.hold.cancel(request));
      return expireReservations(context, this.logger);
    },
  },
  created() {
    const sizeMax = config().BATCH_SIZE_MAX;
    this.find = createBatcher({
      name: "product.get",
      sizeMax,
      run: async (ids) => {
        const products = await findProducts(this.database, [...new Set(ids)]);
        return ids.map((id) => products.get(id));
      },
    });
    this.quote = createBatcher({
      name: "product.quote",
      sizeMax,
      run: async (baskets) => {
        const ids = new Set(baskets.flatMap((items) => items.map(({ productId }) => productId)));
        const products = await findProducts(this.database, [...ids]);
        return baskets.map((items) => quoteOf(items, products));
      },
    });
    const holdBy = (op: TccOp) =>
      createBatcher<HoldRequest, HoldAnswer>({
        name: `product.stock.${op}`,
        sizeMax,
        run: (requests) => this.holdAll(op, requests),
      });
    this.hold = { try: holdBy("try"), confirm: holdBy("confirm"), cancel: holdBy("cancel") };
    this.expiry = createPoller({
      name: "reservation expiry",
      intervalMs: config().EXPIRY_POLL_MS,
      run: () => this.expireReservations(),
      onError: (err) => log(this.logger, {}).warn("reservation expiry will try again", { err }),
    });
  },
  async started() {
    this.expiry.start();
  },
  async stopped() {
    await this.expiry.stop();
  },
  actions: {
    /** Holds the order's reservation, or makes one of `items`. @throws STOCK_NOT_RESERVED, STOCK_HELD, OUT_OF_STOCK, TCC_HANGING */
    stockTry: {
      callers: ["saga", "gateway"],
      params: {
        $$strict: true,
        gid: uuid,
        orderId: uuid,
        items: { ...lines, optional: true },
        ttlSeconds: { type: "number", integer: true, min: 120, max: 86_400, optional: true },
      },
      handler(ctx: ActionContext<"product.stockTry">) {
        return this.hold.try(holdRequest(ctx));
      },
    },
    /** What is held is sold. @throws TCC_CONFIRM_AFTER_CANCEL, TCC_NOT_TRIED */
    stockConfirm: {
      callers: ["saga", "gateway"],
      params: { $$strict: true, gid: uuid, orderId: uuid },
      handler(ctx: ActionContext<"product.stockConfirm">) {
        return this.hold.confirm(holdRequest(ctx));
      },
    },
    /** What is held is reserved as before, or free. @throws TCC_CANCEL_AFTER_CONFIRM */
    stockCancel: {
      callers: ["saga", "gateway"],
      params: { $$strict: true, gid: uuid, orderId: uuid },
      handler(ctx: ActionContext<"product.stockCancel">) {
        return this.hold.cancel(holdRequest(ctx));
      },
    },
    /** Prices of a basket now. @throws PRODUCT_NOT_FOUND, CURRENCY_MISMATCH, TOTAL_TOO_LARGE */
    quote: {
      callers: ["saga"],
      params: { $$strict: true, items: lines },
      handler(ctx: ActionContext<"product.quote">) {
        return this.quote(ctx.params.items);
      },
    },
    /** @throws PRODUCT_NOT_FOUND */
    get: {
      callers: ["gateway"],
      params: { $$strict: true, productId: uuid },
      async handler(ctx: ActionContext<"product.get">) {
        const product = await this.find(ctx.params.productId);
        if (!product) throw new NotFoundError("product", ctx.params.productId);
        return product;
      },
    },
    /** In the order they were created. @throws CURSOR_INVALID */
    list: {
      callers: ["gateway"],
      params: { $$strict: true, limit, cursor },
      async handler(ctx: ActionContext<"product.list">) {
        const { limit: size = PAGE_SIZE, cursor: after } = ctx.params;
        const query: WhereOptions = after ? { id: { [Op.gt]: readCursor(after) } } : {};
        const found = await this.adapter.find({ query, sort: OLDEST_FIRST, limit: size + 1 });
        const { rows, nextCursor } = pageOf(found, size);
        const items = await Promise.all(rows.map(({ id }) => this.find(id)));
        return { items: items.filter((item) => item !== undefined), ...(nextCursor && { nextCursor }) };
      },
    },
  },
});

function holdRequest(ctx: ActionContext<"product.stockTry">): HoldRequest {
  return { ...ctx.params, correlationId: ctx.meta.correlationId ?? "none" };
}

function commandOf<Data>(event: { data: Data; correlationId: string; eventId: string }) {
  return { data: event.data, correlationId: event.correlationId, causationId: event.eventId };
}
