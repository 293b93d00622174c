import type { Middleware, ServiceBroker } from "moleculer";
import { log } from "./logging.ts";

type Step = () => Promise<void>;

const steps = new WeakMap<ServiceBroker, Map<string, Step>>();

/**
 * Has `step` run when the broker stops, before any of its services is stopped: what takes in work from outside
 * ends first, while everything it needs to finish still runs.
 */
export function drainFirst(broker: ServiceBroker, name: string, step: Step): void {
  const known = steps.get(broker) ?? new Map<string, Step>();
  steps.set(broker, known.set(name, step));
}

/** Runs those steps. Moleculer calls `stopping` in reverse order, so this stands near the end of the list. */
export function drain(): Middleware {
  return {
    name: "Drain",
    async stopping(broker) {
      const running = [...(steps.get(broker) ?? [])].map(async ([name, step]) => {
        await step().catch((err: unknown) =>
          log(broker.logger, {}).error("could not drain", { step: name, err }),
        );
      });
      await Promise.all(running);
    },
  };
}
