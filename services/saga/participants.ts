import type { Logger, ServiceBroker } from "moleculer";
import type { CallEffect, Instance, Reply } from "../../engine/protocol.ts";
import { factsOf } from "../../lib/errors.ts";
import { asWork, faults, passPoint } from "../../lib/fault-points.ts";
import { log, type Subject } from "../../lib/logging.ts";

/** An instance that is about an order. */
export interface OrderInstance extends Instance {
  readonly businessKey: string;
}

export function subjectOf({ id, businessKey, correlationId }: OrderInstance): Subject {
  return { correlationId, sagaId: id, orderId: businessKey };
}

/** Performs an engine's call over the broker; every outcome is a reply. */
export async function callParticipant(
  broker: ServiceBroker,
  logger: Logger,
  instance: OrderInstance,
  effect: CallEffect,
): Promise<Reply> {
  try {
    if (faults.armed) await passPoint(`call.${effect.action}.before-send`);
    // Performed again after that time, so that what is still waiting then need not be done.
    const deadline = Date.now() + effect.timeoutMs;
    const meta = { correlationId: instance.correlationId, sagaId: instance.id, deadline };
    const result = await asWork(effect.action, () =>
      broker.call(effect.action, effect.params, { timeout: effect.timeoutMs, meta, caller: "saga" }),
    );
    if (faults.armed) await passPoint(`call.${effect.action}.after-reply`);
    return { ok: true, result };
  } catch (error) {
    const facts = factsOf(error);
    const level = facts.retryable ? "warn" : "info";
    log(logger, subjectOf(instance))[level]("a step was refused", {
      action: effect.action,
      code: facts.type,
      problem: facts.message,
    });
    return { ok: false, error: facts };
  }
}
