import type { LookupResult, ProviderRequest, ProviderResult } from "../../../services/payment/psp/port.ts";
import type { Process, Scheduler } from "../scheduler.ts";
import type { ModelProvider } from "./provider.ts";

export interface ProviderDesk {
  readonly scheduler: Scheduler;
  readonly provider: ModelProvider;
  /** Who asks: an answer that finds it dead is lost. */
  readonly replica: Process;
}

const TIMEOUT_MS = 3_000;

/** As psp/provider-calls.ts: what may have been asked before is looked up first; silence is the result "unknown". */
export function askProvider(
  desk: ProviderDesk,
  request: ProviderRequest,
  askedBefore: boolean,
  then: (result: ProviderResult) => void,
): void {
  const perform = () =>
    call(
      desk,
      request,
      () => desk.provider.perform(request),
      (result) => result.kind !== "absent" && then(result),
    );
  if (!askedBefore) perform();
  else
    call(
      desk,
      request,
      () => desk.provider.lookup(request),
      (found) => (found.kind === "absent" ? perform() : then(found)),
    );
}

function call(
  { scheduler, replica }: ProviderDesk,
  { operation }: ProviderRequest,
  run: () => LookupResult,
  next: (result: LookupResult) => void,
): void {
  let open = true;
  const answer = (result: LookupResult) => {
    if (open) next(result);
    open = false;
  };
  const arrive = () => {
    const result = run();
    if (scheduler.random.strike("provider-silent", operation)) return;
    const back = scheduler.latency("provider answers");
    scheduler.post(`provider: ${operation} ${result.kind}`, back, () => answer(result), replica);
  };
  if (!scheduler.random.strike("provider-away", operation)) {
    scheduler.post(`provider gets ${operation}`, scheduler.latency("provider asked"), arrive);
  }
  const timedOut = () => answer({ kind: "unknown", code: "PSP_TIMEOUT" });
  scheduler.post("provider timeout", TIMEOUT_MS, timedOut, replica);
}
