import type { Engine } from "../../engine/engine.ts";
import type { OperatorAction } from "../../engine/protocol.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import type { Operation } from "../../lib/actions.ts";
import { config } from "../../lib/config.ts";
import type { IdempotencyClaim, IdempotentAnswer } from "../../lib/contracts.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { type ActionContext, defineMixin } from "../../lib/define.ts";
import { NotFoundError, RequestInProgressError, StateConflictError } from "../../lib/errors.ts";
import { metricsOf } from "../../lib/metrics.ts";
import type { OperationDone } from "../../lib/operator-contracts.ts";
import { actor, claimRules, deedReason, uuid } from "../../lib/params.ts";
import { claimKeys } from "../../mixins/idempotency.store.ts";
import { type OperatorDeed, recordDeed, stuckCounts } from "./operations.store.ts";
import { findSagas } from "./saga.store.ts";
import { findTransactions } from "./tcc.store.ts";

interface OperationsVars {
  database: Database;
  engine: Engine<SagaInstance, Tx>;
  transactions: Engine<TccInstance, Tx>;
  storedAnswer<Body>(claim: IdempotencyClaim): Promise<IdempotentAnswer<Body> | undefined>;
}

const operation = {
  $$strict: true,
  id: uuid,
  target: { type: "enum", values: ["saga", "transaction"], optional: true },
  actor,
  reason: deedReason,
  idempotency: { ...claimRules, optional: true },
} as const;

/** What operators do to sagas and transactions that are stuck: each deed with its actor and reason in the trail. */
export const sagaOperations = () =>
  defineMixin<OperationsVars>()({
    methods: {
      /**
       * Without a target, whatever has the id. @throws SAGA_NOT_FOUND, TRANSACTION_NOT_FOUND, OPERATION_NOT_POSSIBLE
       * it cannot take that in its state
       */
      async operate(action: OperatorAction, params: Operation): Promise<IdempotentAnswer<OperationDone>> {
        const { id, target, actor, reason, idempotency: claim } = params;
        const stored = claim && (await this.storedAnswer<OperationDone>(claim));
        if (stored) return stored;
        const body: OperationDone = { id, action, done: true };
        const answer = { status: 200, headers: {}, body };
        const alongside = (targetType: OperatorDeed["targetType"]) => async (tx: Tx) => {
          recordDeed(tx, { actor, action, targetType, targetId: id, reason });
          if (!claim) return;
          const first = await claimKeys(tx, [{ claim, answer }], config().IDEMPOTENCY_HOURS);
          // Somebody else claimed it since we looked: this deed is not to be done twice.
          if (first.size === 0) throw new RequestInProgressError(1);
        };
        const input = { kind: "operator" as const, action };
        const done =
          (target !== "transaction" && (await this.engine.offer(id, input, alongside("saga")))) ||
          (target !== "saga" && (await this.transactions.offer(id, input, alongside("transaction"))));
        if (done) return { replayed: false, ...answer };
        await this.mustExist(id, target);
        const message = `Nothing of this id can take: ${action}.`;
        throw new StateConflictError(message, "OPERATION_NOT_POSSIBLE", { id, action });
      },
      async mustExist(id: string, target: Operation["target"]): Promise<void> {
        const isThere = {
          saga: async () => (await findSagas(this.database, [id])).length > 0,
          transaction: async () => (await findTransactions(this.database, [id])).length > 0,
        };
        if (target !== undefined && !(await isThere[target]())) throw new NotFoundError(target, id);
      },
    },
    created() {
      const metrics = metricsOf(this.broker);
      metrics.collect(async () => metrics.stuck(await stuckCounts(this.database)));
    },
    actions: {
      /** Tries the step in hand again at once. */
      retry: {
        callers: ["gateway"],
        params: operation,
        handler(ctx: ActionContext<"saga.retry">) {
          return this.operate("retry", ctx.params);
        },
      },
      /** Takes the step in hand for done; what it should have done is the operator's to see to. */
      skip: {
        callers: ["gateway"],
        params: operation,
        handler(ctx: ActionContext<"saga.skip">) {
          return this.operate("skip", ctx.params);
        },
      },
      /** Undoes a saga that has not reached its pivot. */
      compensate: {
        callers: ["gateway"],
        params: operation,
        handler(ctx: ActionContext<"saga.compensate">) {
          return this.operate("compensate", ctx.params);
        },
      },
      /** Cancels a transaction that is not decided, or ends a cancellation that cannot end by itself. */
      forceCancel: {
        callers: ["gateway"],
        params: operation,
        handler(ctx: ActionContext<"saga.forceCancel">) {
          return this.operate("force-cancel", ctx.params);
        },
      },
    },
  });
