import type { Middleware, ServiceBroker } from "moleculer";
import { log } from "./logging.ts";

/** "intake" brings work in from outside and ends before any "work" does. */
export type DrainStage = "intake" | "work";

interface Step {
  readonly stage: DrainStage;
  readonly run: () => Promise<void>;
}

const steps = new WeakMap<ServiceBroker, Map<string, Step>>();

/**
 * Has `run` called when the broker stops, before any of its services is stopped: what it needs to finish its work
 * still runs.
 */
export function drainFirst(
  broker: ServiceBroker,
  name: string,
  run: () => Promise<void>,
  stage: DrainStage = "work",
): void {
  const known = steps.get(broker) ?? new Map<string, Step>();
  steps.set(broker, known.set(name, { stage, run }));
}

/** Runs those steps. Moleculer calls `stopping` in reverse order, so this stands near the end of the list. */
export function drain(): Middleware {
  return {
    name: "Drain",
    async stopping(broker) {
      await runStage(broker, "intake");
      await runStage(broker, "work");
    },
  };
}

async function runStage(broker: ServiceBroker, stage: DrainStage): Promise<void> {
  const due = [...(steps.get(broker) ?? [])].filter(([, step]) => step.stage === stage);
  const running = due.map(async ([name, { run }]) => {
    try {
      await run();
    } catch (err) {
      log(broker.logger, {}).error("could not drain", { step: name, err });
    }
  });
  await Promise.all(running);
}
