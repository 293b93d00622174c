import { Op, type WhereOptions } from "sequelize";
import type { Actions } from "../../lib/actions.ts";
import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import { config } from "../../lib/config.ts";
import type { OrderBill, OrderView } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { type ActionContext, type CallMeta, defineService } from "../../lib/define.ts";
import { NotFoundError } from "../../lib/errors.ts";
import { type DomainEvent, TOPICS } from "../../lib/events.ts";
import { log } from "../../lib/logging.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { PAGE_SIZE, pageOf, readCursor } from "../../lib/page.ts";
import { actor, ciphertext, cursor, limit, lines, reason, uuid } from "../../lib/params.ts";
import { createPoller, type Poller } from "../../lib/poller.ts";
import { auditTrail } from "../../mixins/audit-trail.mixin.ts";
import { database } from "../../mixins/database.mixin.ts";
import { inbox } from "../../mixins/inbox.mixin.ts";
import { outbox } from "../../mixins/outbox.mixin.ts";
import { readModel } from "../../mixins/read-model.mixin.ts";
import { retention } from "../../mixins/retention.mixin.ts";
import type { TccOp } from "../../mixins/tcc-barrier.store.ts";
import { tccParticipant } from "../../mixins/tcc-participant.mixin.ts";
import { createAnnouncer } from "./announcements.ts";
import { requestCancellations } from "./order.cancellation.ts";
import { type CommandContext, cancelOrders, carryOut, type Moved, type Traced } from "./order.commands.ts";
import { draftOrders } from "./order.drafts.ts";
import { expireOrders } from "./order.expiry.ts";
import { defineOrderModel, type OrderModel } from "./order.model.ts";
import { type PaymentRequest, payOrders } from "./order.payment.ts";
import { orderRules } from "./order.retention.ts";
import type { Move } from "./order.store.ts";
import type { OrderCommand } from "./order.ts";
import { movesSince } from "./order-moves.store.ts";
import { findBills, findOrders, type OrderLookup } from "./order-view.store.ts";
import { createStaleDrafts } from "./stale-drafts.ts";
import { unpaidOrders, unpaidSince } from "./unpaid-orders.store.ts";

type Draft = Actions["order.draft"];
type RequestCancellation = Actions["order.requestCancellation"];

interface OrderVars {
  draft: Batcher<Traced<Draft["params"]>, Draft["result"]>;
  moves: Readonly<Record<"confirm" | "cancel" | "ship" | "complete", Batcher<Traced<Move>, Moved>>>;
  requestCancellation: Batcher<Traced<RequestCancellation["params"]>, RequestCancellation["result"]>;
  pay: Readonly<Record<TccOp, Batcher<PaymentRequest, Moved>>>;
  find: Batcher<OrderLookup, OrderView | undefined>;
  bill: Batcher<OrderLookup, OrderBill | undefined>;
  staleDrafts: Poller;
  announce: (orderIds: Iterable<string>) => void;
}

const NEWEST_FIRST = "-id";
const viewer = { ...uuid, optional: true };

/** Orders: drafts, their confirmation and cancellation, and how they look. */
export default defineService<OrderVars>()({
  name: "order",
  mixins: [
    readModel<OrderModel>("order", defineOrderModel),
    auditTrail("order"),
    inbox({ group: "order-service-group", topics: [TOPICS.products.name], types: ["STOCK_RELEASED"] }),
    tccParticipant("order"),
    outbox("order"),
    retention("order", orderRules),
    database("order"),
  ],
  methods: {
    commandContext(): CommandContext {
      const { UNPAID_ORDERS_MAX: max, RESERVATION_TTL_SECONDS: ttlSeconds } = config();
      return {
        database: this.database,
        enqueueEvents: this.enqueueEvents,
        metrics: metricsOf(this.broker),
        logger: this.logger,
        announce: this.announce,
        ...(max > 0 && { unpaid: { max, ttlSeconds } }),
      };
    },
    async applyEvents(tx: Tx, events: readonly DomainEvent[]): Promise<void> {
      await expireOrders(tx, this.commandContext(), events);
    },
    async view(lookup: OrderLookup, deadline?: number): Promise<OrderView> {
      const order = await this.find(lookup, deadline);
      if (!order) throw new NotFoundError("order", lookup.orderId);
      return order;
    },
  },
  created() {
    const sizeMax = config().BATCH_SIZE_MAX;
    this.announce = createAnnouncer(this.broker);
    const context = this.commandContext();
    this.draft = createBatcher({ name: "order.draft", sizeMax, run: (items) => draftOrders(context, items) });
    const moveBy = (
      command: OrderCommand,
      run = (items: readonly Traced<Move>[]) => carryOut(context, command, items),
    ) => createBatcher({ name: `order.${command}`, sizeMax, run });
    this.moves = {
      confirm: moveBy("confirm"),
      cancel: moveBy("cancel", (items) => cancelOrders(context, items)),
      ship: moveBy("ship"),
      complete: moveBy("complete"),
    };
    this.requestCancellation = createBatcher({
      name: "order.requestCancellation",
      sizeMax,
      run: (items) => requestCancellations(context, items),
    });
    const payBy = (op: TccOp) =>
      createBatcher<PaymentRequest, Moved>({
        name: `order.${op}Pay`,
        sizeMax,
        run: (requests) => payOrders(context, this.participate, op, requests),
      });
    this.pay = { try: payBy("try"), confirm: payBy("confirm"), cancel: payBy("cancel") };
    this.find = createBatcher({
      name: "order.get",
      sizeMax,
      run: (lookups) => findOrders(this.database, lookups),
    });
    this.bill = createBatcher({
      name: "order.bill",
      sizeMax,
      run: (lookups) => findBills(this.database, lookups),
    });
    const { STALE_DRAFT_MINUTES: minutes, STALE_DRAFT_POLL_MS: intervalMs } = config();
    const drafts = createStaleDrafts(context, this.broker, minutes);
    this.staleDrafts = createPoller({
      name: "stale drafts",
      intervalMs,
      run: () => drafts.settle(),
      onError: (err) => log(this.logger, {}).warn("stale drafts will be looked for again", { err }),
    });
  },
  async started() {
    this.staleDrafts.start();
  },
  async stopped() {
    await this.staleDrafts.stop();
  },
  actions: {
    /** Drafts an order with its prices; once per orderId. @throws ORDER_STATE_CONFLICT it was cancelled meanwhile */
    draft: {
      callers: ["saga"],
      params: {
        $$strict: true,
        orderId: uuid,
        sagaId: uuid,
        customerId: uuid,
        items: {
          ...lines,
          items: {
            type: "object",
            props: {
              ...lines.items.props,
              sku: "string",
              priceMinor: { type: "number", integer: true, min: 0 },
            },
          },
        },
        totalMinor: { type: "number", integer: true, min: 0 },
        currency: { type: "string", length: 3 },
        shippingAddress: { ...ciphertext, optional: true },
      },
      handler(ctx: ActionContext<"order.draft">) {
        return this.draft(traced(ctx));
      },
    },
    /** draft -> created; repeating it is harmless. @throws ORDER_NOT_FOUND, ORDER_STATE_CONFLICT */
    confirm: {
      callers: ["saga"],
      params: { $$strict: true, orderId: uuid },
      handler(ctx: ActionContext<"order.confirm">) {
        return this.moves.confirm(traced(ctx));
      },
    },
    /** Ends a draft, or a cancellation. An order that never was counts as cancelled. @throws ORDER_STATE_CONFLICT */
    cancel: {
      callers: ["saga"],
      params: { $$strict: true, orderId: uuid, reason, actor: { type: "string", optional: true, max: 100 } },
      handler(ctx: ActionContext<"order.cancel">) {
        return this.moves.cancel(traced(ctx));
      },
    },
    /** created -> paying, under a global transaction. @throws ORDER_STATE_CONFLICT, TCC_HANGING */
    tryPay: {
      callers: ["saga"],
      params: { $$strict: true, gid: uuid, orderId: uuid },
      handler(ctx: ActionContext<"order.tryPay">) {
        return this.pay.try(payment(ctx));
      },
    },
    /** paying -> paid. @throws TCC_CONFIRM_AFTER_CANCEL, TCC_NOT_TRIED */
    confirmPay: {
      callers: ["saga"],
      params: { $$strict: true, gid: uuid, orderId: uuid },
      handler(ctx: ActionContext<"order.confirmPay">) {
        return this.pay.confirm(payment(ctx));
      },
    },
    /** paying -> created, or cancelled when its stock has expired; a try that never came is refused from now on. @throws TCC_CANCEL_AFTER_CONFIRM */
    cancelPay: {
      callers: ["saga"],
      params: { $$strict: true, gid: uuid, orderId: uuid, reason: { ...reason, optional: true } },
      handler(ctx: ActionContext<"order.cancelPay">) {
        return this.pay.cancel(payment(ctx));
      },
    },
    /** created or paid -> cancelling. @throws ORDER_NOT_FOUND, ORDER_STATE_CONFLICT, for ever under this saga */
    requestCancellation: {
      callers: ["saga"],
      params: { $$strict: true, orderId: uuid, sagaId: uuid, reason, actor: { type: "string", max: 100 } },
      handler(ctx: ActionContext<"order.requestCancellation">) {
        return this.requestCancellation(traced(ctx));
      },
    },
    /** paid -> shipping. @throws ORDER_NOT_FOUND, ORDER_STATE_CONFLICT */
    ship: {
      callers: ["gateway"],
      params: { $$strict: true, orderId: uuid, actor },
      handler(ctx: ActionContext<"order.ship">) {
        return this.moves.ship(traced(ctx));
      },
    },
    /** shipping -> completed. @throws ORDER_NOT_FOUND, ORDER_STATE_CONFLICT */
    complete: {
      callers: ["gateway"],
      params: { $$strict: true, orderId: uuid, actor },
      handler(ctx: ActionContext<"order.complete">) {
        return this.moves.complete(traced(ctx));
      },
    },
    /** @throws ORDER_NOT_FOUND also when it is another customer's */
    get: {
      callers: ["gateway", "saga"],
      params: { $$strict: true, orderId: uuid, customerId: viewer },
      handler(ctx: ActionContext<"order.get">) {
        return this.view(ctx.params, ctx.meta.deadline);
      },
    },
    /** @throws ORDER_NOT_FOUND */
    status: {
      callers: ["gateway"],
      params: { $$strict: true, orderId: uuid, customerId: viewer },
      async handler(ctx: ActionContext<"order.status">) {
        const { orderId, status, reason: why, updatedAt } = await this.view(ctx.params, ctx.meta.deadline);
        return { orderId, status, ...(why && { reason: why }), updatedAt };
      },
    },
    /** What has become of orders that somebody follows; whether they may is asked of `status` first. */
    moves: {
      callers: ["gateway"],
      params: {
        $$strict: true,
        orders: {
          type: "array",
          min: 1,
          max: 1_000,
          items: {
            type: "object",
            strict: true,
            props: { orderId: uuid, after: { type: "number", integer: true, min: 0 } },
          },
        },
      },
      async handler(ctx: ActionContext<"order.moves">) {
        return { moves: await movesSince(this.database, ctx.params.orders) };
      },
    },
    /** How many unpaid orders a customer has, counted up to `max`. */
    unpaid: {
      callers: ["saga"],
      params: { $$strict: true, customerId: uuid, max: { type: "number", integer: true, min: 1 } },
      async handler(ctx: ActionContext<"order.unpaid">) {
        const { customerId, max } = ctx.params;
        const since = unpaidSince(config().RESERVATION_TTL_SECONDS);
        return { unpaid: await unpaidOrders(this.database, customerId, since, max) };
      },
    },
    /** What there is to pay. @throws ORDER_NOT_FOUND also when it is somebody else's */
    bill: {
      callers: ["saga"],
      params: { $$strict: true, orderId: uuid, customerId: viewer },
      async handler(ctx: ActionContext<"order.bill">) {
        const bill = await this.bill(ctx.params);
        if (!bill) throw new NotFoundError("order", ctx.params.orderId);
        return bill;
      },
    },
    /** Newest first; `from` and `to` are ISO 8601 times of creation. @throws CURSOR_INVALID */
    list: {
      callers: ["gateway"],
      params: {
        $$strict: true,
        customerId: viewer,
        status: { type: "string", optional: true },
        from: { type: "string", optional: true },
        to: { type: "string", optional: true },
        limit,
        cursor,
      },
      async handler(ctx: ActionContext<"order.list">) {
        const { customerId, status, from, to, limit: size = PAGE_SIZE, cursor: after } = ctx.params;
        const query: WhereOptions = {
          ...(customerId && { customerId }),
          ...(status && { status }),
          ...(after && { id: { [Op.lt]: readCursor(after) } }),
          ...((from || to) && {
            createdAt: { ...(from && { [Op.gte]: new Date(from) }), ...(to && { [Op.lt]: new Date(to) }) },
          }),
        };
        const found = await this.adapter.find({ query, sort: NEWEST_FIRST, limit: size + 1 });
        const { rows, nextCursor } = pageOf(found, size);
        const items = await Promise.all(rows.map(({ id }) => this.view({ orderId: id })));
        return { items, ...(nextCursor && { nextCursor }) };
      },
    },
  },
});

function payment(ctx: ActionContext<"order.cancelPay">): PaymentRequest {
  return { ...ctx.params, correlationId: ctx.meta.correlationId ?? "none" };
}

function traced<Params>({ params, meta }: { params: Params; meta: CallMeta }): Traced<Params> {
  return { params, correlationId: meta.correlationId ?? "none", sagaId: meta.sagaId };
}
