import type { Logger, ServiceBroker } from "moleculer";
import { Engine } from "../../engine/engine.ts";
import { createSagaProtocol, type SagaProtocol } from "../../engine/saga.ts";
import type { SagaInstance } from "../../engine/saga-instance.ts";
import type { Config } from "../../lib/config.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { log } from "../../lib/logging.ts";
import { metricsOf } from "../../lib/metrics.ts";
import type { NewEvent } from "../../mixins/outbox.mixin.ts";
import { cancelOrderSaga } from "./cancel-order.saga.ts";
import { createOrderSaga } from "./create-order.saga.ts";
import { recordInstance, withinTrace } from "./instance-trace.ts";
import { callParticipant, subjectOf } from "./participants.ts";
import { createSagaStore } from "./saga.store.ts";

/** The engine over this service's database, Moleculer calls and the outbox. */

export interface SagaEngineContext {
  readonly broker: ServiceBroker;
  readonly logger: Logger;
  readonly config: Config;
  readonly database: Database;
  readonly enqueueEvents: (tx: Tx, events: readonly NewEvent[]) => void;
  readonly onEnded: (sagaIds: readonly string[]) => void;
  /** A call has been answered well: the saga is past that action. */
  readonly onReplied: (sagaId: string, action: string) => void;
}

export interface SagaEngine {
  readonly protocol: SagaProtocol;
  readonly engine: Engine<SagaInstance, Tx>;
}

export function createSagaEngine(context: SagaEngineContext): SagaEngine {
  const { config, database, logger } = context;
  const { SAGA_LEASE_MS: leaseMs, BATCH_SIZE_MAX: batchSizeMax } = config;
  const metrics = metricsOf(context.broker);
  const definitions = [createOrderSaga(config.STOCK_REPLY_TIMEOUT_MS), cancelOrderSaga];
  for (const { type } of definitions) {
    metrics.begin("oms_saga_started_total", [{ type }]);
    metrics.begin("oms_saga_completed_total", [
      { type, result: "completed" },
      { type, result: "compensated" },
    ]);
  }
  const protocol = createSagaProtocol(definitions, leaseMs);
  const engine = new Engine<SagaInstance, Tx>(
    protocol,
    {
      store: createSagaStore(database, context.enqueueEvents),
      call: async (saga, effect) => {
        const reply = await callParticipant(context.broker, logger, saga, effect);
        if (reply.ok) context.onReplied(saga.id, effect.action);
        return reply;
      },
      within: withinTrace,
      now: () => new Date(),
      observer: {
        started: (sagas) => {
          for (const saga of sagas) {
            metrics.sagaStarted(saga.type, 1);
            log(logger, subjectOf(saga)).info("saga started", { type: saga.type });
          }
        },
        ended: (sagas) => {
          for (const saga of sagas) {
            metrics.sagaCompleted(saga.type, saga.state === "COMPLETED" ? "completed" : "compensated", 1);
            metrics.sagaDuration(saga.type, secondsOf(saga));
            recordInstance(saga, saga.progress.failure?.code);
            log(logger, subjectOf(saga)).info("saga ended", {
              type: saga.type,
              state: saga.state,
              reason: saga.progress.failure?.code,
            });
          }
          context.onEnded(sagas.map(({ id }) => id));
        },
        failed: (what, err, saga) =>
          log(logger, subjectOf(saga)).warn("the saga engine will try again", { what, err }),
      },
    },
    { leaseMs, batchSizeMax },
  );
  return { protocol, engine };
}

/** From the first step's start to the last one's end. */
function secondsOf({ progress: { steps } }: SagaInstance): number {
  const [first] = steps;
  const endedAtMs = Math.max(...steps.map((step) => step.endedAtMs ?? 0));
  return first === undefined ? 0 : Math.max(0, endedAtMs - first.startedAtMs) / 1_000;
}
