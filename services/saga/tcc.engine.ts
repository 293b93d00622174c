import type { Logger, ServiceBroker } from "moleculer";
import { Engine } from "../../engine/engine.ts";
import { createTccProtocol, type TccProtocol } from "../../engine/tcc.ts";
import type { TccInstance } from "../../engine/tcc-instance.ts";
import { createPhaseTimer } from "../../engine/tcc-phases.ts";
import type { Config } from "../../lib/config.ts";
import type { Database, Tx } from "../../lib/database.ts";
import { log } from "../../lib/logging.ts";
import { metricsOf } from "../../lib/metrics.ts";
import { recordInstance, withinTrace } from "./instance-trace.ts";
import { callParticipant, subjectOf } from "./participants.ts";
import { payOrderTcc } from "./pay-order.tcc.ts";
import { createTccStore, holdingCounts } from "./tcc.store.ts";

export interface TccEngineContext {
  readonly broker: ServiceBroker;
  readonly logger: Logger;
  readonly config: Config;
  readonly database: Database;
  readonly onEnded: (ids: readonly string[]) => void;
}

/** A try that keeps failing for passing reasons is given up after so many: then all is cancelled. */
const TRY_ATTEMPTS_MAX = 3;

/** The engine for TCC over this service's database and Moleculer calls. */
export function createTccEngine(context: TccEngineContext): {
  protocol: TccProtocol;
  engine: Engine<TccInstance, Tx>;
} {
  const { broker, logger, config } = context;
  const { SAGA_LEASE_MS: leaseMs, BATCH_SIZE_MAX: batchSizeMax, TCC_CALL_TIMEOUT_MS: callTimeoutMs } = config;
  const metrics = metricsOf(broker);
  metrics.collect(async () => {
    const counts = await holdingCounts(context.database);
    for (const { name } of payOrderTcc.participants)
      metrics.tccActiveReservations(name, counts.get(name) ?? 0);
  });
  metrics.begin("oms_tcc_completed_total", [{ result: "confirmed" }, { result: "cancelled" }]);
  const phases = createPhaseTimer((phase, seconds) => metrics.tccPhase(phase, seconds));
  const protocol = createTccProtocol([payOrderTcc], {
    leaseMs,
    callTimeoutMs,
    tryAttemptsMax: TRY_ATTEMPTS_MAX,
  });
  const engine = new Engine<TccInstance, Tx>(
    protocol,
    {
      store: createTccStore(context.database),
      call: (transaction, effect) => callParticipant(broker, logger, transaction, effect),
      within: withinTrace,
      now: () => new Date(),
      observer: {
        started: (transactions) => {
          metrics.tccStarted(transactions.length);
          phases.started(transactions);
        },
        saved: phases.saved,
        ended: (transactions) => {
          for (const transaction of transactions) {
            metrics.tccCompleted(transaction.state === "CONFIRMED" ? "confirmed" : "cancelled");
            if (transaction.failure?.code === "TIMEOUT") metrics.tccTimedOut();
            recordInstance(transaction, transaction.failure?.code);
            const { type, state, failure } = transaction;
            log(logger, subjectOf(transaction)).info("transaction ended", {
              type,
              state,
              reason: failure?.code,
            });
          }
          context.onEnded(transactions.map(({ id }) => id));
        },
        failed: (what, err, transaction) =>
          log(logger, subjectOf(transaction)).warn("the TCC engine will try again", { what, err }),
      },
    },
    { leaseMs, batchSizeMax },
  );
  return { protocol, engine };
}
