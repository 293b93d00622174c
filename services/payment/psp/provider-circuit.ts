import type { Logger } from "moleculer";
import { type CircuitBreaker, createCircuitBreaker } from "../../../lib/circuit-breaker.ts";
import { log } from "../../../lib/logging.ts";
import type { Metrics } from "../../../lib/metrics.ts";

/** Twenty within ten seconds: a card or two whose bank is slow are no outage. */
const CIRCUIT = { callsMin: 20, windowMs: 10_000, openMs: 1_000, openMsMax: 30_000 };

/** What keeps us from asking a provider that does not answer, so that payments fail at once and not after their time. */
export function createProviderCircuit(
  failurePercent: number,
  metrics: Metrics,
  logger: Logger,
): CircuitBreaker | undefined {
  if (failurePercent === 0) return undefined;
  metrics.set("holdfast_circuit_open", 0, { name: "payment provider" });
  return createCircuitBreaker({
    ...CIRCUIT,
    failureShare: failurePercent / 100,
    onChange(state) {
      metrics.set("holdfast_circuit_open", state === "open" ? 1 : 0, { name: "payment provider" });
      log(logger, {}).warn("the circuit of the payment provider changed", { state });
    },
  });
}
