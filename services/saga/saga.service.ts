import type { Engine } from "../../engine/engine.ts";
import type { SagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import { config } from "../../lib/config.ts";
import type { CreateOrderAnswer, IdempotentAnswer } from "../../lib/contracts.ts";
import type { Tx } from "../../lib/database.ts";
import { type ActionContext, callAction, defineService } from "../../lib/define.ts";
import { drainFirst } from "../../lib/drain.ts";
import { NotFoundError } from "../../lib/errors.ts";
import { type DomainEvent, TOPICS } from "../../lib/events.ts";
import { log } from "../../lib/logging.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { ciphertext, claimRules, lines, uuid } from "../../lib/params.ts";
import { createPoller, type Poller } from "../../lib/poller.ts";
import { createWaiters, type Waiters } from "../../lib/waiters.ts";
import { auditTrail } from "../../mixins/audit-trail.mixin.ts";
import { database } from "../../mixins/database.mixin.ts";
import { idempotency } from "../../mixins/idempotency.mixin.ts";
import { inbox } from "../../mixins/inbox.mixin.ts";
import { outbox } from "../../mixins/outbox.mixin.ts";
import { retention } from "../../mixins/retention.mixin.ts";
import { createAcceptor, type StartRequest } from "./accept.ts";
import { assertCancellable, cancelDraft, oneCancellation, orderToCancel } from "./cancellation.ts";
import { deadLetters } from "./dead-letters.mixin.ts";
import { createEndings, type Endings } from "./endings.ts";
import { keyedRequests } from "./keyed-requests.mixin.ts";
import { operationLists } from "./operation-lists.mixin.ts";
import { sagaOperations } from "./operations.mixin.ts";
import { rateLimits } from "./rate-limits.mixin.ts";
import { refusals } from "./refusals.mixin.ts";
import { cancelOrderRequest, createOrderRequest } from "./requests.ts";
import { createSagaEngine } from "./saga.engine.ts";
import { sagaRules } from "./saga.retention.ts";
import { activeCount, findEach, findSagaOf, findSagas, inserter, type StoredSaga } from "./saga.store.ts";
import { orderViewOf, sagaView } from "./saga.view.ts";
import { tccCoordinator } from "./tcc-coordinator.mixin.ts";
import { createUnpaidGuard, type UnpaidGuard } from "./unpaid-orders.ts";
import { isVisible } from "./visibility.ts";

interface SagaVars {
  protocol: SagaProtocol;
  engine: Engine<SagaInstance, Tx>;
  accept: Batcher<StartRequest<SagaInstance>, IdempotentAnswer<unknown>>;
  find: Batcher<string, StoredSaga | undefined>;
  drafts: Waiters;
  endings: Endings;
  recovery: Poller;
  unpaidGuard: UnpaidGuard;
}

const viewer = { ...uuid, optional: true };

/** Runs the sagas. */
export default defineService<SagaVars>()({
  name: "saga",
  mixins: [
    inbox({
      group: "saga-service-group",
      topics: [TOPICS.products.name, TOPICS.payments.name],
      types: ["STOCK_RESERVED", "STOCK_RESERVATION_FAILED", "STOCK_RELEASED", "PAYMENT_REFUNDED"],
    }),
    deadLetters(),
    operationLists(),
    sagaOperations(),
    tccCoordinator(),
    rateLimits(),
    keyedRequests(),
    refusals(),
    auditTrail("saga"),
    idempotency(),
    outbox("saga"),
    retention("saga", sagaRules),
    database("saga"),
  ],
  methods: {
    async applyEvents(tx: Tx, events: readonly DomainEvent[]): Promise<void> {
      const inputs = events.flatMap((event) => {
        const { eventId, eventType: type, data } = event;
        return "sagaId" in data && data.sagaId !== undefined
          ? [{ id: data.sagaId, input: { kind: "event" as const, eventId, type, data } }]
          : [];
      });
      tx.afterCommit(await this.engine.receive(tx, inputs));
    },
    async visible(sagaId: string, customerId?: string): Promise<StoredSaga> {
      const saga = await this.find(sagaId);
      if (!saga || !isVisible(saga, customerId)) throw new NotFoundError("saga", sagaId);
      return saga;
    },
  },
  created() {
    const settings = config();
    const sizeMax = settings.BATCH_SIZE_MAX;
    this.drafts = createWaiters();
    const onError = (err: unknown) => log(this.logger, {}).warn("saga recovery will try again", { err });
    const endedOf = async (ids: readonly string[]) =>
      (await findSagas(this.database, ids))
        .filter((saga) => this.protocol.hasEnded(saga))
        .map(({ id }) => id);
    this.endings = createEndings("saga endings", endedOf, onError);
    const { protocol, engine } = createSagaEngine({
      broker: this.broker,
      logger: this.logger,
      config: settings,
      database: this.database,
      enqueueEvents: this.enqueueEvents,
      onEnded: (sagaIds) => {
        this.endings.tell(sagaIds);
        this.drafts.tell(sagaIds);
      },
      onReplied: (sagaId, action) => {
        if (action === "order.draft") this.drafts.tell([sagaId]);
      },
    });
    this.protocol = protocol;
    this.engine = engine;
    const insert = inserter(this.enqueueEvents);
    const acceptance = { database: this.database, engine, once: this.once, insert };
    this.accept = createAcceptor("saga.accept", sizeMax, acceptance);
    this.find = createBatcher({
      name: "saga.get",
      sizeMax,
      run: (ids) => findEach(this.database, ids),
    });
    const intervalMs = settings.SAGA_POLL_MS;
    this.recovery = createPoller({ name: "saga recovery", intervalMs, run: () => engine.recover(), onError });
    const max = settings.UNPAID_ORDERS_MAX;
    this.unpaidGuard = createUnpaidGuard({
      database: this.database,
      max,
      ttlSeconds: settings.RESERVATION_TTL_SECONDS,
      ask: async (customerId) =>
        (await callAction(this.broker, "order.unpaid", { customerId, max }, { caller: "saga" })).unpaid,
    });
    const metrics = metricsOf(this.broker);
    metrics.collect(async () => metrics.sagaActive(await activeCount(this.database)));
  },
  async started() {
    this.recovery.start();
    this.endings.start();
    drainFirst(this.broker, "saga engine", async () => {
      await this.recovery.stop();
      await this.engine.drain();
    });
  },
  async stopped() {
    await this.endings.stop();
  },
  actions: {
    /**
     * Takes an order on: its saga and the answer under its Idempotency-Key are committed together. In the
     * usual case the draft is there when it answers. @throws IDEMPOTENCY_KEY_REUSED, REQUEST_IN_PROGRESS,
     * TOO_MANY_UNPAID_ORDERS
     */
    createOrder: {
      callers: ["gateway"],
      params: {
        $$strict: true,
        orderId: uuid,
        customerId: uuid,
        items: lines,
        shippingAddress: { ...ciphertext, optional: true },
        paymentMethod: { type: "string", optional: true },
        idempotency: claimRules,
      },
      async handler(ctx: ActionContext<"saga.createOrder">): Promise<IdempotentAnswer<CreateOrderAnswer>> {
        // No await where there is nothing to ask: most orders pass without giving up their turn.
        const asking = this.unpaidGuard(ctx.params.customerId, ctx.params.idempotency);
        if (asking) await asking;
        const request = createOrderRequest(this.protocol, ctx.params, ctx.meta.correlationId ?? ctx.id);
        const answer = (await this.accept(request, ctx.meta.deadline)) as IdempotentAnswer<CreateOrderAnswer>;
        if (!answer.replayed) await this.drafts.wait(answer.body.sagaId, config().DRAFT_WAIT_MS);
        return answer;
      },
    },
    /**
     * Cancels an order: a draft by undoing its creation, what is created or paid by a saga of its own.
     * @throws ORDER_NOT_FOUND, ORDER_STATE_CONFLICT (paying: ask again), IDEMPOTENCY_KEY_REUSED
     */
    cancelOrder: {
      callers: ["gateway"],
      params: {
        $$strict: true,
        orderId: uuid,
        customerId: viewer,
        reason: { type: "string", max: 500, optional: true },
        actor: { type: "string", max: 100 },
        byStaff: "boolean",
        idempotency: claimRules,
      },
      async handler(ctx: ActionContext<"saga.cancelOrder">): Promise<IdempotentAnswer<{ sagaId: string }>> {
        const correlationId = ctx.meta.correlationId ?? ctx.id;
        const context = { database: this.database, engine: this.engine, once: this.once };
        const order = await orderToCancel(ctx, ctx.params);
        const undone = await cancelDraft(context, ctx.params, order);
        if (undone) return undone;
        await assertCancellable(this.database, order, ctx.params.idempotency);
        const request = cancelOrderRequest(this.protocol, ctx.params, order, correlationId);
        return (await this.accept(request, ctx.meta.deadline).catch(oneCancellation)) as IdempotentAnswer<{
          sagaId: string;
        }>;
      },
    },
    /** With `waitMs` it answers when the saga has ended, at the latest after that time. @throws SAGA_NOT_FOUND */
    get: {
      callers: ["gateway"],
      params: {
        $$strict: true,
        sagaId: uuid,
        customerId: viewer,
        waitMs: { type: "number", integer: true, min: 0, max: 30_000, optional: true },
      },
      async handler(ctx: ActionContext<"saga.get">) {
        const { sagaId, customerId, waitMs = 0 } = ctx.params;
        // Registered before it is read: an ending in between is not missed.
        const ending = waitMs > 0 ? this.endings.wait(sagaId, waitMs) : undefined;
        const live = this.engine.live(sagaId);
        // Who sees it need not have it read to begin to wait.
        if (!ending || !live || !isVisible(live, customerId)) {
          const saga = await this.visible(sagaId, customerId);
          if (!ending || this.protocol.hasEnded(saga)) return sagaView(saga);
        }
        await ending;
        return sagaView(await this.visible(sagaId, customerId));
      },
    },
    /** Those of these sagas that have not ended. */
    live: {
      callers: ["order"],
      params: { $$strict: true, sagaIds: { type: "array", max: 1_000, items: uuid } },
      async handler(ctx: ActionContext<"saga.live">) {
        const sagas = await findSagas(this.database, ctx.params.sagaIds);
        return { live: sagas.filter((saga) => !this.protocol.hasEnded(saga)).map(({ id }) => id) };
      },
    },
    /** The order as its saga knows it. @throws ORDER_NOT_FOUND */
    order: {
      callers: ["gateway", "saga"],
      params: { $$strict: true, orderId: uuid, customerId: viewer },
      async handler(ctx: ActionContext<"saga.order">) {
        const { orderId, customerId } = ctx.params;
        const saga = await findSagaOf(this.database, orderId, "CREATE_ORDER");
        if (!saga || !isVisible(saga, customerId)) throw new NotFoundError("order", orderId);
        return orderViewOf(saga);
      },
    },
  },
});
