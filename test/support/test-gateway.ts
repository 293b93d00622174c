import { type Context, ServiceBroker } from "moleculer";
import type { ActionName } from "../../lib/actions.ts";
import { type Config, loadConfig } from "../../lib/config.ts";
import type { CallMeta } from "../../lib/define.ts";
import { portOf } from "../../lib/http-server.ts";
import { newKeyRing } from "../../lib/personal-data/key-ring.ts";
import { brokerOptions } from "../../moleculer.config.ts";
import { exampleOf, type JsonSchema } from "../../services/gateway/contract/json-schema.ts";
import * as views from "../../services/gateway/contract/views.ts";
import { gatewayService } from "../../services/gateway/gateway.service.ts";
import { assertKept } from "./contract.ts";
import { type HttpAnswer, http } from "./http.ts";
import { AUDIENCE, type Claims, ISSUER, makeKey, STAFF, writeKeys } from "./tokens.ts";

export interface RecordedCall {
  readonly action: ActionName;
  readonly params: Record<string, unknown>;
  readonly correlationId: string | undefined;
  readonly deadline: number | undefined;
}

type Responder = (params: Record<string, unknown>) => unknown;

export interface Sending {
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** The customer's when left out. */
  readonly token?: string;
  readonly body?: unknown;
  /** In place of the body as JSON. */
  readonly raw?: string | Buffer;
}

export const PRODUCT = "01990000-0000-7000-8000-00000000000a";
export const ORDER = "01990000-0000-7000-8000-0000000000f1";
export const SAGA = "01990000-0000-7000-8000-0000000000f2";
export const BASKET = { items: [{ productId: PRODUCT, quantity: 2 }] };

const viewOf = (schema: JsonSchema) => exampleOf(schema) as Record<string, unknown>;
const { reason: _, ...orderView } = viewOf(views.order);
/** An order and its saga as their services answer them. */
export const ORDER_VIEW = { ...orderView, orderId: ORDER, sagaId: SAGA };
export const SAGA_VIEW = { ...viewOf(views.saga), sagaId: SAGA };
export const ACCEPTED = { orderId: ORDER, sagaId: SAGA, status: "processing" };

/** What the participants behind the gateway answer unless a test says otherwise. */
const usual: Readonly<Partial<Record<ActionName, Responder>>> = {
  "saga.createOrder": () => ({ replayed: false, status: 202, headers: {}, body: ACCEPTED }),
  "saga.cancelOrder": () => ({
    replayed: false,
    status: 202,
    headers: { location: `/api/orders/saga/${SAGA}` },
    body: { sagaId: SAGA },
  }),
  "saga.settleRates": () => ({ owed: [] }),
  "saga.get": () => SAGA_VIEW,
  "saga.order": () => ORDER_VIEW,
  "order.get": () => ORDER_VIEW,
  "order.status": () => ORDER_VIEW,
  "order.ship": () => ORDER_VIEW,
  "order.list": () => ({ items: [] }),
  "product.get": () => ({ ...viewOf(views.product), productId: PRODUCT }),
  "product.list": () => ({ items: [] }),
  "customer.tokenVersions": () => ({ items: [], revision: 0, more: false }),
};

export type TestGateway = Awaited<ReturnType<typeof startGateway>>;

/** The gateway with the real broker options on free ports, and participants behind it that record what reaches them. */
export async function startGateway(env: Readonly<Record<string, string>> = {}) {
  const key = await makeKey("key-1");
  const settings: Config = loadConfig({
    PORT: "auto",
    INTERNAL_PORT: "auto",
    LOG_LEVEL: "fatal",
    SERVICES: "gateway,saga,order,product,customer",
    REQUEST_TIMEOUT_MS: "1000",
    JWT_KEYS: writeKeys([key.jwk]),
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
    PERSONAL_DATA_KEYS: newKeyRing("test"),
    ...env,
  });
  const broker = new ServiceBroker({ ...brokerOptions(settings), skipProcessEventRegistration: true });
  const participants = new Participants(broker);
  broker.createService(gatewayService(settings));
  await broker.start();
  const sign = (claims?: Claims) => key.sign(claims);
  const tokens = {
    customer: await sign(),
    staff: await sign({ sub: STAFF, roles: ["staff"] }),
    operator: await sign({ sub: STAFF, roles: ["operator"] }),
    service: await sign({ sub: STAFF, roles: ["service"] }),
    nobody: await sign({ roles: [] }),
  };
  const url = `http://127.0.0.1:${portOf(broker, "PORT")}`;
  const internal = `http://127.0.0.1:${portOf(broker, "INTERNAL_PORT")}`;
  const bearer = ({ token = tokens.customer }: Sending = {}) => ({ authorization: `Bearer ${token}` });
  return {
    broker,
    settings,
    participants,
    tokens,
    bearer,
    sign,
    url,
    internal,
    metrics: () => http(`${internal}/metrics`),
    async get(path: string, sending: Sending = {}): Promise<HttpAnswer> {
      const headers = { ...bearer(sending), ...sending.headers };
      return checked("GET", path, await http(url + path, { headers }));
    },
    async post(path: string, sending: Sending = {}): Promise<HttpAnswer> {
      const json = { "content-type": "application/json", "idempotency-key": "key-1" };
      const headers = { ...json, ...bearer(sending), ...sending.headers };
      const body = sending.raw ?? JSON.stringify(sending.body ?? BASKET);
      return checked("POST", path, await http(url + path, { method: "POST", headers, body }));
    },
  };
}

/** Small services in the places of saga, order and product, on the other side of real calls. */
class Participants {
  readonly calls: RecordedCall[] = [];
  readonly #responders = new Map<ActionName, Responder>();
  readonly #broker: ServiceBroker;

  constructor(broker: ServiceBroker) {
    this.#broker = broker;
    for (const service of ["saga", "order", "product", "customer"]) this.#create(service);
  }

  /** Answers differently until the next reset. */
  reply(action: ActionName, responder: Responder): void {
    this.#responders.set(action, responder);
  }

  reset(): void {
    this.calls.length = 0;
    this.#responders.clear();
  }

  /** Runs `work` while a service is gone. */
  async without(service: string, work: () => Promise<void>): Promise<void> {
    await this.#broker.destroyService(service);
    await work();
    this.#create(service);
    await this.#broker.waitForServices(service, 5_000, 10);
  }

  #create(service: string): void {
    const names = (Object.keys(usual) as ActionName[]).filter((action) => action.startsWith(`${service}.`));
    const actions = names.map((action) => {
      const handler = (ctx: Context<Record<string, unknown>, CallMeta>) => {
        const { correlationId, deadline } = ctx.meta;
        // The gateway asks for these by itself, whenever their time has come.
        if (action !== "customer.tokenVersions")
          this.calls.push({ action, params: ctx.params, correlationId, deadline });
        return (this.#responders.get(action) ?? usual[action])?.(ctx.params);
      };
      return [action.slice(service.length + 1), handler] as const;
    });
    this.#broker.createService({ name: service, actions: Object.fromEntries(actions) });
  }
}

/** Whatever is asked for: every error is a problem of one shape, and nothing shows more than it should. */
function checked(method: string, path: string, answer: HttpAnswer): HttpAnswer {
  const { status, headers, text, body } = answer;
  if (path.startsWith("/api/")) assertKept(method, path.slice("/api".length), answer);
  expect(headers["x-correlation-id"]).toMatch(/^[A-Za-z0-9-]{8,64}$/);
  expect(headers["cache-control"]).toMatch(/^(no-store|private, no-cache)$/);
  expect(headers["x-content-type-options"]).toBe("nosniff");
  expect(text).not.toMatch(/ {4}at |node_modules|\.ts:|\.js:|stack/);
  if (status < 400) return answer;
  expect(headers["content-type"]).toBe("application/problem+json; charset=utf-8");
  expect(body).toEqual({
    type: expect.stringMatching(/^urn:holdfast:problem:[a-z0-9-]+$/),
    title: expect.any(String),
    status,
    detail: expect.any(String),
    code: expect.stringMatching(/^[A-Z_]+$/),
    instance: expect.stringMatching(/^\/[^?]*$/),
    correlationId: headers["x-correlation-id"],
    ...(status === 422 && body && "errors" in body && { errors: expect.any(Array) }),
  });
  return answer;
}
