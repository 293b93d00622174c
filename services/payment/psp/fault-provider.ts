import { faults, passPoint } from "../../../lib/fault-points.ts";
import type { LookupResult, Provider, ProviderRequest } from "./port.ts";

type Ask<Result> = (request: ProviderRequest, signal: AbortSignal) => Promise<Result>;

/** Puts fault points around all that a provider is asked; while nothing is armed it is asked as it is. */
export function withFaultPoints(provider: Provider): Provider {
  return Object.assign(provider, {
    authorise: around("authorise", provider.authorise.bind(provider)),
    capture: around("capture", provider.capture.bind(provider)),
    void: around("void", provider.void.bind(provider)),
    refund: around("refund", provider.refund.bind(provider)),
    lookup: around("lookup", provider.lookup.bind(provider)),
  });
}

function around<Result extends LookupResult>(name: string, ask: Ask<Result>): Ask<Result> {
  const askThroughPoints: Ask<Result> = async (request, signal) => {
    await passPoint(`psp.${name}.before-send`);
    const result = await ask(request, signal);
    await passPoint(`psp.${name}.after-reply`);
    return result;
  };
  return (request, signal) => (faults.armed ? askThroughPoints(request, signal) : ask(request, signal));
}
