import { type ChildProcess, fork } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Context, ServiceBroker } from "moleculer";
import ApiGateway from "moleculer-web";
import { loadConfig } from "../../lib/config.ts";
import { callAction } from "../../lib/define.ts";
import { portOf } from "../../lib/http-server.ts";
import { uuidv7 } from "../../lib/ids.ts";
import { newKeyRing } from "../../lib/personal-data/key-ring.ts";
import { foldersOf, type MigratedName, migrate } from "../../migrations/run.ts";
import { createDatabases, startPostgres } from "../../scripts/parts/postgres.ts";
import { ensureTopics } from "../../scripts/topics.ts";
import type { Admission } from "../../services/gateway/admission.ts";
import type { Verifier } from "../../services/gateway/auth.ts";
import type { Shedder } from "../../services/gateway/shedding.ts";
import type { TransportHeaders } from "../../services/gateway/transport-headers.ts";
import type { Answered, Ask } from "./gateway-client.ts";

/**
 * What the gateway's own work costs: GET /orders/{id} through it, beside the same gateway that neither checks tokens nor
 * limits or sheds anything, and beside a route of moleculer-web with nothing but the call and JSON. All stand before the
 * real order service and its database; the client is a process of its own. They take turns, so that all meet the same
 * neighbours:
 *   node bench/studies/gateway.ts [concurrency=64] [seconds=3] [rounds=7]
 */
const [concurrency = 64, seconds = 3, rounds = 7] = process.argv.slice(2).map(Number);
const ORDERS = 1_000;
const CUSTOMER = "01990000-0000-7000-8000-0000000000c1";
const ISSUER = "bench";
const root = mkdtempSync(join(tmpdir(), "holdfast-gateway-"));
chmodSync(root, 0o755);
const postgres = await startPostgres({ dataDir: join(root, "postgres"), port: "auto" });

interface Side {
  readonly perSecond: number[];
  readonly cpuUs: number[];
}

try {
  const { url, bareUrl, token, orderIds, guard, stop } = await startBoth();
  const client = fork(fileURLToPath(new URL("./gateway-client.ts", import.meta.url)));
  const ask = { token, paths: orderIds.map((id) => `/api/orders/${id}`), concurrency };
  await run(client, { ...ask, url, seconds: 2 });
  await run(client, { ...ask, url: bareUrl, seconds: 2 });
  const empty = (): Side => ({ perSecond: [], cpuUs: [] });
  const sides = { gateway: empty(), unguarded: empty(), bare: empty() };
  for (let round = 0; round < rounds; round += 1) {
    await measure(sides.gateway, client, { ...ask, url, seconds });
    guard(false);
    await measure(sides.unguarded, client, { ...ask, url, seconds });
    guard(true);
    await measure(sides.bare, client, { ...ask, url: bareUrl, seconds });
  }
  report(sides);
  client.kill();
  await stop();
} finally {
  await postgres.stop();
  rmSync(root, { recursive: true, force: true });
}

async function measure(side: Side, client: ChildProcess, ask: Ask): Promise<void> {
  const before = process.cpuUsage();
  const { answers, elapsedMs } = await run(client, ask);
  const { user, system } = process.cpuUsage(before);
  side.perSecond.push((answers * 1_000) / elapsedMs);
  side.cpuUs.push((user + system) / answers);
}

function run(client: ChildProcess, ask: Ask): Promise<Answered> {
  client.send(ask);
  return new Promise((resolve, reject) => {
    client.once("message", (message: Answered | { error: string }) =>
      "error" in message ? reject(new Error(message.error)) : resolve(message),
    );
  });
}

function report(sides: Readonly<Record<"gateway" | "unguarded" | "bare", Side>>): void {
  const median = (values: readonly number[]) =>
    [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
  console.log(`GET /orders/{id}, c=${concurrency}, medians of ${rounds} turns of ${seconds} s`);
  for (const [name, side] of Object.entries(sides)) {
    const perSecond = Math.round(median(side.perSecond));
    console.log(`${name.padEnd(10)} ${perSecond}/s, ${median(side.cpuUs).toFixed(1)} us of CPU a request`);
  }
  const ratio = (one: readonly number[], other: readonly number[]) =>
    (median(one) / median(other)).toFixed(3);
  for (const name of ["unguarded", "bare"] as const) {
    const [{ gateway }, other] = [sides, sides[name]];
    console.log(
      `gateway/${name}: ${ratio(gateway.perSecond, other.perSecond)} of the throughput, ` +
        `${ratio(gateway.cpuUs, other.cpuUs)} times the CPU`,
    );
  }
}

async function startBoth() {
  const names: readonly MigratedName[] = ["order", "bus"];
  await createDatabases(postgres.adminUrl, ["oms_order", "oms_bus"]);
  for (const name of names) await migrate({ url: postgres.urlOf(`oms_${name}`), folders: foldersOf(name) });
  process.env.DATABASE_URL = postgres.urlOf("oms");
  process.env.PERSONAL_DATA_KEYS = newKeyRing("bench");
  process.env.UNPAID_ORDERS_MAX = "0";
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
  const keysFile = join(root, "jwks.json");
  const jwk = { ...(await exportJWK(publicKey)), kid: "bench", alg: "EdDSA", use: "sig" };
  writeFileSync(keysFile, JSON.stringify({ keys: [jwk] }));
  const settings = loadConfig({
    PORT: "auto",
    INTERNAL_PORT: "auto",
    LOG_LEVEL: "info",
    SERVICES: "gateway",
    JWT_KEYS: keysFile,
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: ISSUER,
    // Limited as in production, but for the amounts.
    RATE_LIMIT_PER_SUBJECT: "100000",
    RATE_LIMIT_PER_ADDRESS: "100000",
    DATABASE_URL: process.env.DATABASE_URL,
    PERSONAL_DATA_KEYS: process.env.PERSONAL_DATA_KEYS,
  });
  await ensureTopics(settings);
  // What these read of the environment they read when they are imported.
  const { brokerOptions } = await import("../../moleculer.config.ts");
  const { gatewayService } = await import("../../services/gateway/gateway.service.ts");
  const { default: order } = await import("../../services/order/order.service.ts");
  const broker = new ServiceBroker({
    ...brokerOptions(settings),
    logger: false,
    skipProcessEventRegistration: true,
  });
  answering(broker);
  broker.createService(order);
  broker.createService(gatewayService(settings));
  const bare = broker.createService({
    name: "bare",
    mixins: [ApiGateway],
    settings: { port: 0, ip: "127.0.0.1", routes: [bareRoute()] },
  });
  await broker.start();
  const { port } = (bare as unknown as { server: { address(): { port: number } } }).server.address();
  const orderIds = await placeOrders(broker);
  const token = await new SignJWT({ roles: ["customer"] })
    .setProtectedHeader({ alg: "EdDSA", kid: "bench", typ: "JWT" })
    .setSubject(CUSTOMER)
    .setIssuer(ISSUER)
    .setAudience(ISSUER)
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(privateKey);
  const url = `http://127.0.0.1:${portOf(broker, "PORT")}`;
  const guard = guardOf(broker);
  return { url, bareUrl: `http://127.0.0.1:${port}`, token, orderIds, guard, stop: () => broker.stop() };
}

/** Takes the gateway's guards away, and puts them back. */
function guardOf(broker: ServiceBroker): (on: boolean) => void {
  const service = broker.getLocalService("gateway") as unknown as Guards;
  const { verify, admission, shedder, transport } = service;
  const guards = { verify, admission, shedder, transport };
  const none: Guards = {
    verify: () => ({ subject: CUSTOMER, roles: ["customer"] }),
    admission: { address: () => undefined, subject: () => undefined, badToken: () => undefined },
    shedder: {
      enter: () => undefined,
      leave: () => undefined,
      inFlight: () => ({ working: 0, waiting: 0 }),
    },
    transport: { set: () => undefined, answersPreflight: () => false },
  };
  return (on) => void Object.assign(service, on ? guards : none);
}

interface Guards {
  verify: Verifier;
  admission: Admission;
  shedder: Shedder;
  transport: TransportHeaders;
}

/** As little as moleculer-web does to get from a request to an action and back. */
function bareRoute() {
  return {
    path: "/api",
    mappingPolicy: "restrict",
    mergeParams: true,
    bodyParsers: false,
    etag: false,
    logging: false,
    aliases: { "GET /orders/:orderId": answerBarely },
  } as const;
}

interface BareRequest extends IncomingMessage {
  readonly $ctx: Context;
  readonly $params: { readonly orderId: string };
}

async function answerBarely({ $ctx, $params }: BareRequest, response: ServerResponse): Promise<void> {
  const { orderId } = $params;
  const body = JSON.stringify(await callAction($ctx, "order.get", { orderId }, { caller: "gateway" }));
  response.writeHead(200, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

async function placeOrders(broker: ServiceBroker): Promise<string[]> {
  const ids = Array.from({ length: ORDERS }, () => uuidv7());
  await Promise.all(
    ids.map(async (orderId) => {
      const items = [1, 2].map((n) => ({
        productId: uuidv7(),
        sku: `sku-${n}`,
        quantity: n,
        priceMinor: 100,
      }));
      const draft = {
        orderId,
        sagaId: uuidv7(),
        customerId: CUSTOMER,
        items,
        totalMinor: 300,
        currency: "EUR",
      };
      await callAction(broker, "order.draft", draft, { caller: "saga" });
      await callAction(broker, "order.confirm", { orderId }, { caller: "saga" });
    }),
  );
  return ids;
}

/** The services beside it that the gateway asks something now and then. */
function answering(broker: ServiceBroker): void {
  const services: Readonly<Record<string, Readonly<Record<string, (ctx: Context) => unknown>>>> = {
    saga: { settleRates: () => ({ owed: [0] }) },
    customer: { tokenVersions: () => ({ items: [], revision: 0, more: false }) },
  };
  for (const [name, actions] of Object.entries(services))
    broker.createService({ name, actions: { ...actions } });
}
