import { type Config, databaseUrl } from "../../../lib/config.ts";
import { openDatabase } from "../../../lib/database.ts";
import type { Provider } from "./port.ts";
import { createSimulator } from "./simulator.ts";
import type { Deliver } from "./simulator-callbacks.ts";

export interface OpenProviderOptions {
  /** Takes the simulated provider's webhooks where no address is set. */
  readonly deliver: Deliver;
  readonly onError: (error: unknown) => void;
}

/** The provider that the configuration asks for. */
export function openProvider(config: Config, options: OpenProviderOptions): Provider {
  const address = config.PSP_SIMULATOR_WEBHOOK_URL;
  const webhookSecrets = (config.PSP_WEBHOOK_SECRETS ?? "")
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);
  return createSimulator({
    // It plays an outside party: a pool of its own, and transactions that are never ours.
    database: openDatabase({ url: databaseUrl(config, "payment"), name: "psp simulator", connectionsMax: 4 }),
    captureSuccessRate: config.PSP_CONFIRM_SUCCESS_RATE,
    webhookSecrets,
    deliver: address === undefined ? options.deliver : (body, headers) => post(address, body, headers),
    onError: options.onError,
  });
}

async function post(address: string, body: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const response = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
    redirect: "error",
    signal: AbortSignal.timeout(5_000),
  });
  if (!response.ok) throw new Error(`the webhook was answered ${response.status}`);
}
