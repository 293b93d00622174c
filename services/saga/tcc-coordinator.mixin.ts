import type { Engine } from "../../engine/engine.ts";
import type { TccProtocol } from "../../engine/tcc.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import { type Batcher, createBatcher } from "../../lib/batcher.ts";
import { config } from "../../lib/config.ts";
import type { IdempotentAnswer, PayOrderAnswer } from "../../lib/contracts.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { type ActionContext, callAction, defineMixin } from "../../lib/define.ts";
import { drainFirst } from "../../lib/drain.ts";
import { NotFoundError } from "../../lib/errors.ts";
import { log } from "../../lib/logging.ts";
import { claimRules, uuid } from "../../lib/params.ts";
import { createPoller, type Poller } from "../../lib/poller.ts";
import { type Acceptance, createAcceptor, type StartRequest } from "./accept.ts";
import { createEndings, type Endings } from "./endings.ts";
import { createPayable, type Payable } from "./payable.ts";
import { payOrderRequest } from "./requests.ts";
import { createTccEngine } from "./tcc.engine.ts";
import { findEachTransaction, findTransactions, type StoredTcc, starter } from "./tcc.store.ts";
import { transactionView } from "./tcc.view.ts";
import { isVisible } from "./visibility.ts";

interface CoordinatorVars {
  database: Database;
  once: Acceptance<TccInstance>["once"];
  transactions: Engine<TccInstance, Tx>;
  tccProtocol: TccProtocol;
  acceptPayment: Batcher<StartRequest<TccInstance>, IdempotentAnswer<PayOrderAnswer>>;
  findTransaction: Batcher<string, StoredTcc | undefined>;
  transactionEndings: Endings;
  tccRecovery: Poller;
  payable: Payable;
}

const PAY_PARAMS = {
  $$strict: true,
  orderId: uuid,
  customerId: { ...uuid, optional: true },
  paymentMethod: { type: "string", min: 1, max: 255 },
  idempotency: claimRules,
};

const TRANSACTION_PARAMS = {
  $$strict: true,
  transactionId: uuid,
  customerId: { ...uuid, optional: true },
  waitMs: { type: "number", integer: true, min: 0, max: 30_000, optional: true },
};

/** Coordinates TCC transactions. */
export const tccCoordinator = () =>
  defineMixin<CoordinatorVars>()({
    methods: {
      async visibleTransaction(id: string, customerId?: string): Promise<StoredTcc> {
        const transaction = await this.findTransaction(id);
        if (!transaction || !isVisible(transaction, customerId)) throw new NotFoundError("transaction", id);
        return transaction;
      },
    },
    created() {
      const settings = config();
      const sizeMax = settings.BATCH_SIZE_MAX;
      const { protocol, engine } = createTccEngine({
        broker: this.broker,
        logger: this.logger,
        config: settings,
        database: this.database,
        onEnded: (ids) => this.transactionEndings.tell(ids),
      });
      this.tccProtocol = protocol;
      this.transactions = engine;
      const { database, once } = this;
      this.payable = createPayable(database, settings.PAY_ATTEMPTS_MAX);
      const acceptance = { database, once, engine, insert: starter(settings.PAY_ATTEMPTS_MAX) };
      this.acceptPayment = createAcceptor("saga.payOrder", sizeMax, acceptance);
      this.findTransaction = createBatcher({
        name: "saga.transaction",
        sizeMax,
        run: (ids) => findEachTransaction(this.database, ids),
      });
      const onError = (err: unknown) => log(this.logger, {}).warn("TCC recovery will try again", { err });
      const endedOf = async (ids: readonly string[]) =>
        (await findTransactions(this.database, ids))
          .filter((transaction) => this.tccProtocol.hasEnded(transaction))
          .map(({ id }) => id);
      this.transactionEndings = createEndings("transaction endings", endedOf, onError);
      this.tccRecovery = createPoller({
        name: "TCC recovery",
        intervalMs: settings.SAGA_POLL_MS,
        run: () => engine.recover(),
        onError,
      });
    },
    async started() {
      this.tccRecovery.start();
      this.transactionEndings.start();
      drainFirst(this.broker, "TCC engine", async () => {
        await this.tccRecovery.stop();
        await this.transactions.drain();
      });
    },
    async stopped() {
      await this.transactionEndings.stop();
    },
    actions: {
      /**
       * Begins to pay an order: order, stock and money agree, or nothing happens.
       * @throws ORDER_NOT_FOUND, ORDER_STATE_CONFLICT it is not created, PAY_ATTEMPTS_EXHAUSTED, IDEMPOTENCY_KEY_REUSED
       */
      payOrder: {
        callers: ["gateway"],
        params: PAY_PARAMS,
        async handler(ctx: ActionContext<"saga.payOrder">): Promise<IdempotentAnswer<PayOrderAnswer>> {
          const { orderId, customerId, idempotency } = ctx.params;
          const order = await callAction(ctx, "order.bill", { orderId, ...(customerId && { customerId }) });
          await this.payable.check(order, idempotency);
          const correlationId = ctx.meta.correlationId ?? ctx.id;
          const request = payOrderRequest(this.tccProtocol, ctx.params, order, correlationId);
          return this.acceptPayment(request, ctx.meta.deadline).catch(this.payable.refused(orderId));
        },
      },
      /** With `waitMs` it answers when the transaction has ended, at the latest after that time. @throws TRANSACTION_NOT_FOUND */
      transaction: {
        callers: ["gateway", "product"],
        params: TRANSACTION_PARAMS,
        async handler(ctx: ActionContext<"saga.transaction">) {
          const { transactionId: id, customerId, waitMs = 0 } = ctx.params;
          // Registered before it is read: an ending in between is not missed.
          const ending = waitMs > 0 ? this.transactionEndings.wait(id, waitMs) : undefined;
          const live = this.transactions.live(id);
          // Who sees it need not have it read to begin to wait.
          if (!ending || !live || !isVisible(live, customerId)) {
            const transaction = await this.visibleTransaction(id, customerId);
            if (!ending || this.tccProtocol.hasEnded(transaction)) return transactionView(transaction);
          }
          await ending;
          return transactionView(await this.visibleTransaction(id, customerId));
        },
      },
    },
  });
