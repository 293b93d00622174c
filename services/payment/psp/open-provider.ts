import { type Config, ConfigError, databaseUrl } from "../../../lib/config.ts";
import { openDatabase } from "../../../lib/database.ts";
import { withFaultPoints } from "./fault-provider.ts";
import type { Provider } from "./port.ts";
import { createSimulator } from "./simulator.ts";
import type { Deliver } from "./simulator-callbacks.ts";
import { createStripe } from "./stripe.ts";

export interface OpenProviderOptions {
  /** Takes the simulated provider's webhooks where no address is set. */
  readonly deliver: Deliver;
  readonly onError: (error: unknown) => void;
}

/** The provider that the configuration asks for. @throws ConfigError it lacks a key or a secret */
export function openProvider(config: Config, options: OpenProviderOptions): Provider {
  const webhookSecrets = (config.PSP_WEBHOOK_SECRETS ?? "")
    .split(",")
    .map((secret) => secret.trim())
    .filter((secret) => secret !== "");
  const provider =
    config.PSP_PROVIDER === "stripe"
      ? openStripe(config, webhookSecrets)
      : openSimulator(config, webhookSecrets, options);
  return withFaultPoints(provider);
}

function openStripe(config: Config, webhookSecrets: readonly string[]): Provider {
  const { STRIPE_SECRET_KEY: secretKey, STRIPE_API_URL: apiUrl, PSP_TIMEOUT_MS: timeoutMs } = config;
  if (secretKey === undefined) throw new ConfigError("STRIPE_SECRET_KEY", "PSP_PROVIDER=stripe needs it");
  if (webhookSecrets.length === 0)
    throw new ConfigError("PSP_WEBHOOK_SECRETS", "PSP_PROVIDER=stripe needs one");
  return createStripe({ secretKey, apiUrl, timeoutMs, webhookSecrets });
}

function openSimulator(
  config: Config,
  webhookSecrets: readonly string[],
  options: OpenProviderOptions,
): Provider {
  const address = config.PSP_SIMULATOR_WEBHOOK_URL;
  return createSimulator({
    // It plays an outside party: a pool of its own, and transactions that are never ours.
    database: openDatabase({
      url: databaseUrl(config, "payment"),
      name: "psp simulator",
      connectionsMax: 4,
      // Its books share the log with the payments that tell of them: whatever a payment knows is on disk with it.
      settings: { synchronous_commit: "off" },
    }),
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
