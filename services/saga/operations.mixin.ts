import type { Context } from "moleculer";
import type { Engine } from "../../engine/engine.ts";
import type { OperatorAction } from "../../engine/protocol.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import type { Tx } from "../../lib/database.ts";
import { type CallMeta, defineMixin } from "../../lib/define.ts";
import { StateConflictError } from "../../lib/errors.ts";
import { uuid } from "../../lib/params.ts";
import { recordDeed } from "./operations.store.ts";

interface OperationsVars {
  engine: Engine<SagaInstance, Tx>;
  transactions: Engine<TccInstance, Tx>;
}

interface Operation {
  readonly id: string;
  readonly actor: string;
  readonly reason: string;
}

const params = {
  $$strict: true,
  id: uuid,
  actor: { type: "string", min: 1, max: 100 },
  reason: { type: "string", min: 3, max: 1_000 },
} as const;

/** What operators do to what is stuck: each deed with its actor and reason in the audit trail. */
export const sagaOperations = () =>
  defineMixin<OperationsVars>()({
    methods: {
      /** @throws OPERATION_NOT_POSSIBLE neither a saga nor a transaction of that id can take it in its state */
      async operate(
        action: OperatorAction,
        { id, actor, reason }: Operation,
      ): Promise<{ id: string; done: true }> {
        const input = { kind: "operator" as const, action };
        const record = (targetType: "saga" | "transaction") => (tx: Tx) =>
          recordDeed(tx, { actor, action, targetType, targetId: id, reason });
        const done =
          (await this.engine.offer(id, input, record("saga"))) ||
          (await this.transactions.offer(id, input, record("transaction")));
        if (done) return { id, done };
        const message = `Nothing of this id can take: ${action}.`;
        throw new StateConflictError(message, "OPERATION_NOT_POSSIBLE", { id, action });
      },
    },
    actions: {
      /** Tries the step in hand again at once. */
      retry: {
        callers: ["gateway"],
        params,
        handler(ctx: Context<Operation, CallMeta>) {
          return this.operate("retry", ctx.params);
        },
      },
      /** Takes the step in hand for done; what it should have done is the operator's to see to. */
      skip: {
        callers: ["gateway"],
        params,
        handler(ctx: Context<Operation, CallMeta>) {
          return this.operate("skip", ctx.params);
        },
      },
      /** Undoes a saga that has not reached its pivot. */
      compensate: {
        callers: ["gateway"],
        params,
        handler(ctx: Context<Operation, CallMeta>) {
          return this.operate("compensate", ctx.params);
        },
      },
      /** Cancels a transaction that is not decided, or ends a cancellation that cannot end by itself. */
      forceCancel: {
        callers: ["gateway"],
        params,
        handler(ctx: Context<Operation, CallMeta>) {
          return this.operate("force-cancel", ctx.params);
        },
      },
    },
  });
