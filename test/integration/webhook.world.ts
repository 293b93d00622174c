import { randomUUID } from "node:crypto";
import { loadConfig } from "../../lib/config.ts";
import { portOf } from "../../lib/http-server.ts";
import { newKeyRing } from "../../lib/personal-data/key-ring.ts";
import { type HttpAnswer, http } from "../support/http.ts";
import type { TestServer } from "../support/service-database.ts";
import { AUDIENCE, ISSUER, makeKey, writeKeys } from "../support/tokens.ts";
import { openPayments, type PaymentWorld, params } from "./payment.world.ts";

export const SECRETS = ["whsec_next", "whsec_now"] as const;

export interface WebhookWorld extends PaymentWorld {
  /** Where the provider sends its webhooks. */
  readonly address: string;
  /** Sends a webhook as a provider does: no token, the raw body, its signature in a header. */
  deliver(body: string, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
  /** A payment that its provider has been asked for and has not answered. */
  waiting(paymentMethod: string): Promise<Waiting>;
  statusOf(paymentId: string): Promise<string>;
  noted(eventId: string): Promise<readonly { result: string }[]>;
}

export interface Waiting {
  readonly gid: string;
  readonly orderId: string;
  readonly paymentId: string;
  /** The attempt that the provider was asked with. */
  readonly attemptId: string;
}

/** The payment service and the gateway before it, as an outside provider meets them. */
export async function openWebhooks(
  server: TestServer,
  provider: "simulator" | "stripe",
  env: NodeJS.ProcessEnv = {},
): Promise<WebhookWorld> {
  Object.assign(process.env, {
    PORT: "auto",
    SERVICES: "payment,gateway",
    JWT_KEYS: writeKeys([(await makeKey("key-1")).jwk]),
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
    PERSONAL_DATA_KEYS: newKeyRing("test"),
  });
  const world = await openPayments(server, {
    PSP_PROVIDER: provider,
    PSP_WEBHOOK_SECRETS: SECRETS.join(","),
    ...env,
  });
  const { gatewayService } = await import("../../services/gateway/gateway.service.ts");
  world.broker.createService(gatewayService(loadConfig()));
  await world.broker.waitForServices("gateway", 20_000, 10);
  const address = `http://127.0.0.1:${portOf(world.broker, "PORT")}/api/payments/webhooks/${provider}`;
  return {
    ...world,
    address,
    deliver: (body, headers = {}) =>
      http(address, { method: "POST", headers: { "content-type": "application/json", ...headers }, body }),
    async waiting(paymentMethod) {
      const asked = params(paymentMethod);
      await expect(world.call("payment.try", asked)).rejects.toMatchObject({ type: "PAYMENT_UNKNOWN" });
      const [row] = await world.sql<{ id: string; authorisation_id: string }>(
        "select id, authorisation_id from payments where gid = $1",
        [asked.gid],
      );
      if (!row) throw new Error("the payment is missing");
      return { ...asked, paymentId: row.id, attemptId: row.authorisation_id };
    },
    statusOf: async (paymentId) => (await world.call("payment.get", { paymentId })).status,
    noted: (eventId) => world.sql("select result from psp_events where event_id = $1", [eventId]),
  };
}

export const eventId = () => `evt_${randomUUID()}`;
export const now = () => Math.floor(Date.now() / 1_000);
